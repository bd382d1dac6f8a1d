# JUMPS with the paper's exact parameter counts (design S5; for R1 see
# jumps_r1_mocap.py). How latents are searched: jumps_search_*.py.
design = 'S5'
model = dict(
    type='Jumps',
    data_preprocessor=dict(type='PoseSequencePreprocessor'),
    encoder=dict(type='PoseSequenceEncoder', design=design),
    generator=dict(type='PoseSequenceGenerator', design=design),
    critic=dict(type='PoseSequenceCritic', design=design),
    # Section III-B
    penalty_weight=10., position_weight=200., velocity_weight=100.,
    latent_weight=2., mixed_weight=1.)
model_wrapper_cfg = dict(type='PerChildDistributedDataParallel')
