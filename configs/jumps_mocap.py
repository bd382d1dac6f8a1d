# JUMPS on motion capture of CMU and Bandai-Namco, for two CPU cores: hours.
# The split is that of the other completers.
_base_ = ['./_base_/models/jumps.py', './_base_/schedules/jumps.py',
          './_base_/datasets/sequences_mocap_holes.py']

# What the paper has not: E is held to the prior, and reads half of the
# windows through their holes.
model = dict(prior_weight=50., masked_share=.5)

train_dataloader = dict(batch_size=64)
val_evaluator = [dict(type='MeanBound')]
test_evaluator = val_evaluator

# Ten times the paper's rate for G and E, as a trial had it; the critic
# drifts at rates above the paper's. Gradients have a norm of about 100, and
# now and then one that undoes ten epochs.
optim_wrapper = dict(generator=dict(optimizer=dict(lr=1e-3),
                                    clip_grad=dict(max_norm=150.)))
train_cfg = dict(max_epochs=220, val_interval=5)
param_scheduler = [dict(type='LinearLR', start_factor=1., end_factor=.05,
                        begin=130, end=220, by_epoch=True)]
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='NonFiniteGuard'),
    dict(type='AdversarialMonitor', interval=50),
    # At that rate single iterations differ by half of their error; what is
    # validated and used is the mean of about the last 1,000.
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=1e-3,
         update_buffers=True),
]
