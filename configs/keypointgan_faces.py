# Real faces in short clips, landmarks of other people.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/faces_frames.py',
    './_base_/schedules/keypointgan.py',
]

# With the paper's 10 all faces get one pose, with 2 two seeds of three learn:
# watch mon_spread_ratio, begin again where it falls (docs/keypointgan.md).
model = dict(
    adversarial_weight=2.,
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
