# Where metric pose on images begins: an ordinary mmpose recognizer of 2D
# joints, on the training people of the embedded world's views. 2D labels are
# cheap; ImageNet's weights, with which the paper's networks begin, cannot be
# had everywhere, and from scratch nothing of 3D poses is learnt for hundreds
# of steps.
_base_ = ['./embedding_res18_synthetic.py']

model = dict(head=dict(
    _delete_=True, type='HeatmapHead', in_channels=256, out_channels=17,
    deconv_out_channels=(64, 64, 64),
    loss=dict(type='KeypointMSELoss', use_target_weight=True),
    decoder=_base_.codec))

train_dataloader = dict(dataset=dict(augmentation=dict(
    _delete_=True, flip=0., scale=.1, shift=.05, colour=.2, erase=.1)))
# Images alone, as the recognizer gets them in use.
val_pipeline = [t for t in _base_.pipeline if t['type'] != 'GenerateTarget']
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=val_pipeline))
# A step is 1.2 times as fast.
channels_last = True

# 1,600 steps, a quarter of an hour of a core.
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=80,
         by_epoch=False),
    dict(type='CosineAnnealingLR', begin=0, end=20, T_max=20, eta_min=4e-5,
         by_epoch=True, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=20)
