# Metric pose on the embedded world, 96 x 96, for two CPU cores:
#   python tools/train.py configs/metric_pose_synthetic.py
# A tenth of the instants has 3D labels. An epoch has 80 iterations.
_base_ = ['./_base_/models/metric_pose.py',
          './_base_/schedules/metric_pose.py',
          './_base_/datasets/synthetic_views.py']

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=18, base_channels=32,
                  stem_channels=32),
    head=dict(in_channels=256, pose=dict(hidden=256),
              loss=dict(warm_up=160)),
    adversary=dict(num_subjects=16))

# From scratch: one rate for all.
optim_wrapper = dict(_delete_=True, type='AutocastOptimWrapper',
                     optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=80,
         by_epoch=False),
    dict(type='MultiStepLR', milestones=[18, 24], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=30)
