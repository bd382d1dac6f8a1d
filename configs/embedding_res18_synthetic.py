# An ordinary mmpose model, heatmaps by ResNet-18, to which an EmbeddingHead
# with HardNetLoss and an IdentityAdversary is added: the head that was there
# goes on beside it. Views of the embedded world; all losses train the
# backbone.
_base_ = ['./_base_/default_runtime.py',
          './_base_/datasets/synthetic_views.py']

runner_type = 'PoseRunner'
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
        type='EmbeddingHead', in_channels=256, embedding_dim=128,
        loss=dict(type='HardNetLoss', near_seconds=1., warm_up=160,
                  # a heatmap's squared error is small
                  loss_weight=0.001),
        # Who it is shall not be told by the embedding: 32 training people.
        adversary=dict(type='IdentityAdversary', num_subjects=32,
                       loss_weight=0.0001),
        beside=dict(
            type='HeatmapHead', in_channels=256, out_channels=17,
            deconv_out_channels=(64, 64, 64),
            loss=dict(type='KeypointMSELoss', use_target_weight=True),
            decoder=codec)),
    test_cfg=dict(flip_test=False))

# Heatmaps of the 2D joints, and what EmbeddingHead has to know of a view.
views_meta = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape',
              'input_size', 'input_center', 'input_scale', 'flip_indices',
              'dataset_name', 'subject', 'subject_index', 'sequence',
              'seconds', 'camera', 'view_group')
pipeline = [dict(type='GetBBoxCenterScale', padding=1.),
            dict(type='TopdownAffine', input_size=codec['input_size']),
            dict(type='GenerateTarget', encoder=codec),
            dict(type='PackPoseInputs', meta_keys=views_meta)]
# No flips: all views of an instant would have to be flipped alike. No 3D
# labels are read, so none are asked for.
train_dataloader = dict(
    batch_size=64, sampler=dict(annotated_groups=0),
    dataset=dict(pipeline=pipeline, augmentation=None))
val_dataloader = dict(dataset=dict(pipeline=pipeline))
test_dataloader = dict(dataset=dict(pipeline=pipeline))
val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2,
                     norm_item='bbox')
test_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2,
                      norm_item='bbox')

optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[18, 24], gamma=0.1, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=5)
val_cfg = dict()
test_cfg = dict()
custom_hooks = [dict(type='SyncBuffersHook'), dict(type='NonFiniteGuard')]
