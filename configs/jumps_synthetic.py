# JUMPS on motions of the embedded world: no data needed, minutes.
_base_ = ['./_base_/models/jumps.py', './_base_/schedules/jumps.py']

model = dict(prior_weight=50., masked_share=.5)

windows = dict(
    type='PoseSequenceDataset', fps=25.,
    sources=[dict(type='SyntheticMotions', clips=400, people=40, seconds=4.,
                  held_out=dict(test=.1))])
train_dataloader = dict(
    batch_size=64, num_workers=0, drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(windows, part='train', random_start=True, mirror=.5,
                 holes=[dict(type='UnseenJoints')]))
val_dataloader = dict(
    batch_size=64, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(windows, part='test', stride=24,
                 holes=[dict(type='UnseenJoints')]))
test_dataloader = val_dataloader
val_evaluator = [dict(type='MeanBound')]
test_evaluator = val_evaluator

optim_wrapper = dict(generator=dict(optimizer=dict(lr=1e-3)))
train_cfg = dict(max_epochs=20, val_interval=5)
default_hooks = dict(checkpoint=dict(interval=5))
