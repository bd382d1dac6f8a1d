# PennAction: images of half of the videos, poses of the other half.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/penn_action_frames.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
