# Windows of the embedded world's motions: no files. Whole people are held out.
_base_ = ['./mocap_sequences.py']

sources = [dict(type='SyntheticMotions', clips=600, people=60, seconds=4.,
                seed=0, held_out=dict(val=.1, test=.2))]
train_dataloader = dict(dataset=dict(sources=sources))
val_dataloader = dict(dataset=dict(sources=sources))
test_dataloader = dict(dataset=dict(sources=sources))
