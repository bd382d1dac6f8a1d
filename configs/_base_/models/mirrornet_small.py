# MirrorNet for two CPU cores: 96 x 96 crops, 24 x 24 maps, a narrow ResNet-18.
_base_ = ['./mirrornet.py']

latent = dict(base_channels=16, latent_channels=64)
# A vector for the pose: 32 numbers cost little, and make the better prior.
primitive = dict(latent_channels=32, vector_size=(3, 3))

model = dict(
    sigma=1.,
    temperature=0.1,  # 0.05 snaps narrow blobs to the cells
    backbone=dict(type='ResNet', depth=18, base_channels=32, stem_channels=32),
    head=dict(
        type='HeatmapHead',
        in_channels=256,
        out_channels=16,
        deconv_out_channels=(128, 128, 128),
        deconv_kernel_sizes=(4, 4, 4),
        loss=dict(type='HeatmapNLLLoss', variance=0.01)),
    image_vae=dict(
        appearance_recognizer=latent,
        scene_recognizer=latent,
        generator=dict(base_channels=16, appearance_channels=64,
                       scene_channels=64)),
    pose_vae=dict(
        recognizer=dict(base_channels=16, **primitive),
        generator=dict(base_channels=16, **primitive),
        map_size=(24, 24),
        sigma=1.),
    mask_estimator=dict(widths=(16, 16, 32, 64)))
