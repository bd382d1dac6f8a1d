# Two stages for networks from scratch: 2D joints as any mmpose recognizer
# learns them (2D labels are cheap, ImageNet's weights cannot be had
# everywhere), then metric pose from that backbone. Without the first nothing
# of 3D poses is learnt for hundreds of steps (docs/metric_pose.md).
_base_ = ['./metric_pose_short.py']

runner_type = 'CurriculumRunner'
codec = dict(type='MSRAHeatmap', input_size=(96, 96), heatmap_size=(24, 24),
             sigma=1.)
stages = [
    dict(name='recognizer', epochs=20, data='joints_2d',
         model=dict(
             type='TopdownPoseEstimator', take=['backbone'],
             data_preprocessor=dict(
                 type='PoseDataPreprocessor', mean=[123.675, 116.28, 103.53],
                 std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
             head=dict(
                 type='HeatmapHead', in_channels=256, out_channels=17,
                 deconv_out_channels=(64, 64, 64),
                 loss=dict(type='KeypointMSELoss', use_target_weight=True),
                 decoder=codec),
             test_cfg=dict(flip_test=False)),
         cfg=dict(
             optim_wrapper=dict(optimizer=dict(lr=2e-3)),
             param_scheduler=[
                 dict(type='LinearLR', start_factor=0.01, begin=0, end=80,
                      by_epoch=False),
                 dict(type='CosineAnnealingLR', begin=0, end=20, T_max=20,
                      eta_min=4e-5, by_epoch=True,
                      convert_to_iter_based=True)],
             custom_hooks=[dict(type='SyncBuffersHook'),
                           dict(type='NonFiniteGuard')])),
    dict(name='metric_pose', epochs=30,
         init_from=dict(backbone='recognizer')),
]
