# Cats' heads: seven landmarks, still images in warped pairs.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/cathead_frames.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
