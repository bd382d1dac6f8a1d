# Faces: images of VoxCeleb2, poses of MultiPIE, tested on 300-W.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/voxceleb2_frames.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
