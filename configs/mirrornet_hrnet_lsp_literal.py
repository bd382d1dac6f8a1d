# The paper to the letter, its default form is mirrornet_hrnet_lsp.py: one-hot
# targets, unit variances, a sampled pose, annotations in the generative
# terms. docs/mirrornet.md tells what that does: the pose VAE ignores its
# latent, and the recognizer's gradient is the plain recognizer's.
_base_ = [
    './_base_/models/mirrornet_hrnet_w32.py',
    './_base_/datasets/lsp_onehot.py',
    './_base_/schedules/mirrornet.py',
]

model = dict(
    head=dict(decoder=dict(type='OneHotHeatmap', input_size=(256, 256),
                           heatmap_size=(64, 64))),
    generative_input='annotation',
    pose_form='heatmaps',
    sample_pose=True,
    image_vae=dict(variance=1.),
    pose_vae=dict(variance=1.))
