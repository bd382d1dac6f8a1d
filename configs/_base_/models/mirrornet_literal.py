# The paper to the letter: unit variances, sampled pose, annotations in the
# generative terms. docs/mirrornet.md shows what that does: the pose VAE
# ignores its latent, and the recognizer's gradient is the baseline's.
_base_ = ['./mirrornet.py']

model = dict(
    generative_input='annotation',
    pose_form='heatmaps',
    sample_pose=True,
    image_vae=dict(variance=1.),
    pose_vae=dict(variance=1.))
