# The same losses over 2D joints instead of pixels, so that retrieval and
# lifting work on anybody's detections: real motion capture, projected through
# the real camera rigs of Human3.6M. An epoch has 693 iterations, a minute or
# two of a core.
_base_ = ['./_base_/models/metric_pose_lifting.py',
          './_base_/schedules/metric_pose.py',
          './_base_/datasets/mocap_views.py']

source = dict(
    _delete_=True, type='RigViews', sources=[_base_.cmu, _base_.bandai],
    file='cameras/h36m.json', people=2, fps=5.)
# Errors of a detector, about 1 % of the person's box.
augmentation = dict(flip=0.5, scale=0., shift=0., colour=0., noise=0.01)
rigs = dict(source=source, inputs='keypoints')
train_dataloader = dict(dataset=dict(rigs, augmentation=augmentation))
val_dataloader = dict(dataset=rigs)
test_dataloader = dict(dataset=rigs)

# By measurement; with the weight of 1 poses are worse by 7 mm.
model = dict(head=dict(loss=dict(loss_weight=0.1)))

# From scratch: one rate for all.
optim_wrapper = dict(_delete_=True, type='OptimWrapper',
                     optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=100,
         by_epoch=False),
    dict(type='MultiStepLR', milestones=[4, 5], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=6, val_interval=2)
