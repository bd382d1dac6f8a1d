# Section IV-A: Adam, batches of 256, 60 epochs of 835,000 windows.
_base_ = ['../default_runtime.py']

runner_type = 'PoseRunner'

adam = dict(type='OptimWrapper',
            optimizer=dict(type='Adam', lr=1e-4, betas=(.5, .999), eps=1e-8,
                           fused=True))
optim_wrapper = dict(
    constructor='PerChildOptimWrapperConstructor',
    critic=adam,
    generator=dict(children=['generator', 'encoder'], **adam))
param_scheduler = []

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=5, max_keep_ckpts=2))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='NonFiniteGuard'),
    # Gradient norms, and the spread of what is generated.
    dict(type='AdversarialMonitor', interval=50),
]
