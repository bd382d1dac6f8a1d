# From scratch: one rate for all, 30 epochs.
_base_ = ['./metric_pose.py']

optim_wrapper = dict(_delete_=True, type='AutocastOptimWrapper',
                     optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=80,
         by_epoch=False),
    dict(type='MultiStepLR', milestones=[18, 24], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=30)
