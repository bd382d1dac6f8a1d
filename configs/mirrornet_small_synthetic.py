# The whole curriculum on the embedded world, minutes on two CPU cores:
#   python tools/train.py configs/mirrornet_small_synthetic.py
_base_ = [
    './_base_/models/mirrornet_small.py',
    './_base_/datasets/synthetic_64.py',
    './_base_/schedules/mirrornet.py',
]

model = dict(
    head=dict(decoder=_base_.codec),
    pose_vae=dict(recognizer=dict(vector_size=(2, 2)),
                  generator=dict(vector_size=(2, 2)), map_size=(16, 16)))

epochs = dict(mask_estimator=15, recognizer=25, image_vae=15, pose_vae=40,
              baseline=24, supervised=12, supervised_long=12,
              semi_supervised=12)
stages = [dict(stage, epochs=epochs[stage['name']])
          for stage in _base_.stages]
train_cfg = dict(max_epochs=12)
optim_wrapper = dict(type='AutocastOptimWrapper')
channels_last = True
