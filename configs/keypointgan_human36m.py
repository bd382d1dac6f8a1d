# Human3.6M at the paper's size, its own poses as the prior.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/human36m_frames.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
