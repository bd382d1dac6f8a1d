# A temporal convolution network that completes sequences, trained on windows
# with holes of every kind. Minutes on two CPU cores.
_base_ = ['./_base_/datasets/sequences_mocap_holes.py',
          './_base_/default_runtime.py']

runner_type = 'PoseRunner'
model = dict(type='RegressorCompleter',
             data_preprocessor=dict(type='BaseDataPreprocessor'))

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=20)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=.1, begin=0, end=200, by_epoch=False),
    dict(type='CosineAnnealingLR', eta_min=2e-5, by_epoch=True,
         convert_to_iter_based=True)]
val_cfg = dict()
test_cfg = dict()
