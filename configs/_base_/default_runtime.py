_base_ = ['mmpose::_base_/default_runtime.py']

# Registers every part of mirrorpose in mmpose's registries.
custom_imports = dict(imports=['mirrorpose'], allow_failed_imports=False)

# The stages of the curriculum are run by tools/train.py. mmpose's own tools
# ignore this line, and train and test the top level of the config.
runner_type = 'CurriculumRunner'

# Batch sizes are the paper's, over all processes.
batch_size_is_global = True

default_hooks = dict(
    logger=dict(interval=20),
    checkpoint=dict(interval=1, max_keep_ckpts=2))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='NonFiniteGuard'),
    # "The mean over the last 10 epochs" (Section 5.2).
    dict(type='AverageScores', last=10),
    # Averaged weights, in any stage:
    # dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.0002),
]
# TensorBoard beside the log files:
# vis_backends = [dict(type='LocalVisBackend'),
#                 dict(type='TensorboardVisBackend')]
# visualizer = dict(vis_backends=vis_backends)

randomness = dict(seed=0)
