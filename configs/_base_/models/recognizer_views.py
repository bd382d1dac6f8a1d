# An ordinary mmpose recognizer of 2D joints for synchronised views: a
# ResNet-18 of half the width, 16 epochs.
_base_ = ['../default_runtime.py']

runner_type = 'PoseRunner'
# A step is 1.2 times as fast.
channels_last = True
codec = dict(type='MSRAHeatmap', input_size=(96, 96), heatmap_size=(24, 24),
             sigma=1.)
model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(type='ResNet', depth=18, base_channels=32,
                  stem_channels=32),
    head=dict(
        type='HeatmapHead', in_channels=256, out_channels=17,
        deconv_out_channels=(64, 64, 64),
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec),
    # mmpose counts accuracy in numpy, which has no bfloat16.
    train_cfg=dict(compute_acc=False), test_cfg=dict(flip_test=False))
# The last line is what heads beside the heatmaps have to know of a view.
meta = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape', 'input_size',
        'input_center', 'input_scale', 'flip_indices', 'dataset_name',
        'subject', 'subject_index', 'sequence', 'seconds', 'camera',
        'view_group')
crop = [dict(type='GetBBoxCenterScale', padding=1.),
        dict(type='TopdownAffine', input_size=codec['input_size'])]
pack = [dict(type='PackPoseInputs', meta_keys=meta)]
val_pipeline = [*crop, *pack]
train_pipeline = [
    crop[0],  # no flips: mirrored suits would be wrong
    dict(type='RandomBBoxTransform', shift_factor=.1, scale_factor=(.75, 1.25),
         rotate_factor=40.),
    crop[1], dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec), *pack]

# In bfloat16 a step is 2.2 times as fast.
optim_wrapper = dict(type='AutocastOptimWrapper',
                     optimizer=dict(type='Adam', lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=80,
         by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=16, T_max=16, eta_min=4e-5,
         by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(by_epoch=True, max_epochs=16, val_interval=4)
val_cfg = dict()
test_cfg = dict()
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='NonFiniteGuard')]
