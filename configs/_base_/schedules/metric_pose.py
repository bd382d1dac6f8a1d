# Adam, 1e-4 for the trunk and 1e-3 for what is new, a step at 60 and 80 %.
# [DERIVED], as the whole schedule: 30 to 50 epochs of 1000 iterations.
_base_ = ['../default_runtime.py']

runner_type = 'PoseRunner'
batch_size_is_global = False  # view groups are counted by process

optim_wrapper = dict(
    optimizer=dict(type='Adam', lr=1e-3),
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=500,
         by_epoch=False),
    dict(type='MultiStepLR', milestones=[24, 32], gamma=0.1, by_epoch=True)]
train_cfg = dict(by_epoch=True, max_epochs=40, val_interval=5)
val_cfg = dict()
test_cfg = dict()

custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='NonFiniteGuard'),
    # Targets are standardised by the annotated training poses.
    dict(type='PoseStatistics'),
    dict(type='EmbeddingWatch'),
]
