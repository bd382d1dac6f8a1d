# KeypointGAN with the published code's widths (spec 2.2): eta 1,181,184
# parameters with 32 joints, Phi 3,124,801, Psi 4,825,635, D 8,288,067.
# An entry config gives head and renderer the joints of its data.
model = dict(
    type='KeypointGAN',
    data_preprocessor=dict(type='FramePairPreprocessor'),
    backbone=dict(type='SkeletonTranslator', width=32),          # Phi
    head=dict(type='SkeletonRegressor', skeleton='human36m_32',  # eta
              width=32),
    generator=dict(type='ConditionalDecoder', width=32),         # Psi
    discriminator=dict(type='MultiScaleDiscriminator', width=64, scales=3),
    renderer=dict(type='SkeletonRenderer', skeleton='human36m_32',  # beta
                  size=128, sigma=0.2, exponent=1.),
    # VGG-19 as torchvision has it; offline: 'efficientnet_lite0', 'random',
    # or 'auto' for the first of them that is there.
    perceptual=dict(type='PerceptualLoss', features='vgg19'),
    # The rows of Table 4: generator.conditional, bottleneck, second_cycle.
    bottleneck=True,
    second_cycle=None,
    adversarial_weight=10., reconstruction_weight=10.,
    fake_weight=0.1, real_weight=0.9, pool_size=50,
    test_cfg=dict(flip_test=False))
model_wrapper_cfg = dict(type='PerChildDistributedDataParallel')
