# Ridge regression on windows, for any pattern of what is observed. One epoch
# adds up the moments; nothing is learnt by gradients.
_base_ = ['./_base_/datasets/sequences_mocap_holes.py',
          './_base_/default_runtime.py']

runner_type = 'PoseRunner'
model = dict(type='RidgeCompleter',
             data_preprocessor=dict(type='BaseDataPreprocessor'))

# Every place is seen by two cameras.
train_dataloader = dict(dataset=dict(views=2))
train_cfg = dict(by_epoch=True, max_epochs=1, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.))
val_cfg = dict()
test_cfg = dict()
