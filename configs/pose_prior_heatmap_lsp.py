# An ordinary mmpose heatmap recognizer with a pose prior in its loss. The
# prior is trained first, on poses without images:
#   python tools/train.py configs/pose_vae_mocap.py
#   python tools/train.py configs/pose_prior_heatmap_lsp.py
_base_ = ['./_base_/models/mirrornet_small.py', './_base_/datasets/lsp_96.py',
          './_base_/default_runtime.py']

runner_type = 'PoseRunner'
small = _base_.model
model = dict(
    _delete_=True,
    type='TopdownPoseEstimator',
    data_preprocessor=small.data_preprocessor,
    backbone=small.backbone,
    head=dict(
        type='HeatmapHead',
        in_channels=256,
        out_channels=16,
        deconv_out_channels=(128, 128, 128),
        deconv_kernel_sizes=(4, 4, 4),
        decoder=_base_.codec,
        loss=dict(
            type='PosePriorLoss',
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            # 1 / (50 * 16 * 24 * 24): MirrorNet's proportions.
            weight=2.2e-6,
            radius=3,
            temperature=0.1,
            prior=small.pose_vae,
            checkpoint='work_dirs/pose_vae_mocap/epoch_20.pth')),
    # mmpose would decode every training batch on the host for a number.
    train_cfg=dict(compute_acc=False),
    test_cfg=dict(flip_test=True))

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=10)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
