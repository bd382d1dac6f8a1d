# MirrorNet's auxiliary networks at the paper's size (Table 8), in the form
# that works; configs/mirrornet_hrnet_lsp_literal.py is the paper's letter.
latent = dict(type='LatentRecognizer', base_channels=64, latent_channels=256)

model = dict(
    type='MirrorNet',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    image_vae=dict(
        type='ImageVAE',
        appearance_recognizer=dict(in_channels=3, **latent),
        scene_recognizer=dict(in_channels=3, **latent),
        generator=dict(type='ImageGenerator', base_channels=64)),
    pose_vae=dict(
        type='PoseVAE',
        recognizer=dict(in_channels=16, **latent),
        generator=dict(type='PoseGenerator', base_channels=64),
        map_size=(64, 64),
        sigma=2.),
    mask_estimator=dict(type='MaskEstimator'),
    test_cfg=dict(flip_test=False))
