# Four real people in few clips, poses of motion capture and LSP. Sides are
# not told apart, as in keypointgan_synthetic.py.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/people_frames.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    head=dict(skeleton=_base_.joints, either_side=True),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size),
    perceptual=dict(features='auto'))  # VGG-19 where its weights are
