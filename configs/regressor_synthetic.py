# The temporal network on motions of the embedded world: no data needed,
# minutes. To try the tools: for real motion, train on real motion.
_base_ = ['./regressor_mocap.py']

sources = [dict(type='SyntheticMotions', clips=600, people=60, seconds=4.,
                seed=0, held_out=dict(val=.1, test=.2))]
train_dataloader = dict(dataset=dict(sources=sources))
val_dataloader = dict(dataset=dict(sources=sources))
test_dataloader = dict(dataset=dict(sources=sources))
train_cfg = dict(max_epochs=20)
