# Real faces in short clips, landmarks of other people.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/faces_frames.py',
    './_base_/schedules/keypointgan.py',
]

# With the paper's 10 all faces get one pose, with 2 two seeds of three learn,
# and with the second cycle, which the paper drops, all three: a skeleton that
# is always the same does not come back as the one it was drawn from
# (docs/keypointgan.md).
model = dict(
    adversarial_weight=2., second_cycle=dict(_delete_=True),
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size),
    perceptual=dict(features='auto'))  # VGG-19 where its weights are
optim_wrapper = dict(discriminator=dict(
    children=['discriminator', 'image_discriminator']))
