# Real people before black, poses of others. Sides are not told apart, as in
# keypointgan_synthetic.py.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/silhouettes_frames.py',
    './_base_/schedules/keypointgan.py',
]

# With the paper's 10 the error is a point greater (docs/keypointgan.md).
model = dict(
    adversarial_weight=2.,
    head=dict(skeleton=_base_.joints, either_side=True),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size),
    perceptual=dict(features='auto'))  # VGG-19 where its weights are
