# The embedded world at 64 x 64, half the widths, on two CPU cores. Its people
# face every way, and a skeleton of one channel cannot tell their sides: the
# regressor learns pairs of joints, and calls a side as it likes (ours;
# either_side=False is the paper's, see docs/keypointgan.md).
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/synthetic_frames.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    backbone=dict(width=16),
    head=dict(skeleton=_base_.joints, width=16, either_side=True),
    generator=dict(width=16),
    discriminator=dict(width=32, scales=2),  # a third would be 16 pixels
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size),
    perceptual=dict(features='auto', width=8))

epochs = dict(regressor=30, keypointgan=10)
stages = [dict(stage, epochs=epochs[stage['name']])
          for stage in _base_.stages]
train_cfg = dict(max_epochs=10)
