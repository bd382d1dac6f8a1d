# Real faces in short clips, landmarks of other people.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/faces_frames.py',
    './_base_/schedules/keypointgan.py',
]

# By the paper's 10 all faces get one pose: 28 % of the eyes' distance off,
# where 2 gives 13 (docs/keypointgan.md).
model = dict(
    adversarial_weight=2.,
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
