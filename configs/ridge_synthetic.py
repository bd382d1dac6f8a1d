# Ridge regression on windows of the embedded world: no data needed, seconds.
# To try the tools; on real motion it is no better than interpolation.
_base_ = ['./ridge_mocap.py']

sources = [dict(type='SyntheticMotions', clips=600, people=60, seconds=4.,
                seed=0, held_out=dict(val=.1, test=.2))]
train_dataloader = dict(dataset=dict(sources=sources))
val_dataloader = dict(dataset=dict(sources=sources))
test_dataloader = dict(dataset=dict(sources=sources))
