# JUMPS with the paper's exact parameter counts (design S5; R1 has the same
# and no batch normalisation in the critic: set design='R1' in all three).
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

# How latents are searched; both are arguments of JumpsCompleter.
search = dict(  # what worked in a trial: the encoder's start, few steps
    restarts=0, keep=True, search=dict(steps=50, rate=.1, critic_weight=0.))
search_paper = dict(  # Section III-C to the letter; 8 starts are a guess
    restarts=7, keep=False,
    search=dict(steps=200, rate=1., betas=(.8, .999), position_weight=10.,
                velocity_weight=5., critic_weight=15.))
