# A rival of MirrorNet: mean teacher on LSP + LSPET, for two CPU cores. It goes
# on from the small curriculum's recognizer, as MirrorNet does:
#   python tools/train.py configs/mirrornet_small_lsp.py --stage recognizer
#   python tools/train.py configs/mean_teacher_small_lsp.py
_base_ = ['./_base_/models/mirrornet_small.py', './_base_/datasets/lsp_96.py',
          './_base_/default_runtime.py']

runner_type = 'PoseRunner'
small = _base_.model
model = dict(
    _delete_=True,
    type='MeanTeacher',
    data_preprocessor=small.data_preprocessor,
    backbone=small.backbone,
    head=dict(small.head, decoder=_base_.codec),
    sigma=small.sigma,
    temperature=small.temperature,
    momentum=0.99,
    ramp_steps=200,
    affine=dict(rotate=30., scale=(.75, 1.25), shift=.1),
    colours=dict(mean=small.data_preprocessor.mean,
                 std=small.data_preprocessor.std),
    test_cfg=small.test_cfg)
# As many un-annotated images as annotated ones.
train_dataloader = dict(sampler=dict(source_ratio=(64, 64)))
load_from = 'work_dirs/mirrornet_small_lsp/recognizer/epoch_60.pth'

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=10)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type='AutocastOptimWrapper',
                     optimizer=dict(type='Adam', lr=1e-3))
channels_last = True
