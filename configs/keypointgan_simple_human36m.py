# Simplified Human3.6M at the paper's size: 32 joints, 128 x 128.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/simple_human36m.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
