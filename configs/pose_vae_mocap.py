# A pose prior from poses without images: motion capture seen by random
# cameras, tested on LSP's poses. Its checkpoint starts MirrorNet's pose VAE:
#   model.pose_vae.init_cfg = dict(type='Pretrained', prefix='pose_vae.',
#                                  checkpoint='work_dirs/pose_vae_mocap/...')
_base_ = ['./_base_/models/mirrornet_small.py', './_base_/datasets/lsp_96.py',
          './_base_/default_runtime.py']

runner_type = 'PoseRunner'
model = dict(
    _delete_=True,
    type='PoseAutoencoding',
    data_preprocessor=_base_.model.data_preprocessor,
    pose_vae=_base_.model.pose_vae)

mocap = dict(type='PoseCollectionDataset', data_root=_base_.data_root,
             stride=5, seed=0, pipeline=[dict(type='LoadBlankImage')])
train_dataloader = dict(
    _delete_=True, batch_size=128, num_workers=1, persistent_workers=True,
    drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='CombinedPoseDataset', pipeline=_base_.augment,
        datasets=[dict(mocap, ann_file='mocap/cmu31_30fps.npz'),
                  dict(mocap, ann_file='mocap/bandai26_30fps.npz')]))
val_dataloader = _base_.stage_data.poses.val_dataloader
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='MeanBound')
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=5)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='Adam', lr=1e-3))
