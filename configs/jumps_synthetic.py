# JUMPS on motions of the embedded world: no data needed, minutes.
_base_ = ['./_base_/models/jumps.py', './_base_/schedules/jumps.py',
          './_base_/datasets/synthetic_sequences.py']

model = dict(prior_weight=50., masked_share=.5)

unseen = [dict(type='UnseenJoints')]
held_out = dict(batch_size=64, num_workers=0, persistent_workers=False,
                dataset=dict(stride=24, holes=unseen))
train_dataloader = dict(
    batch_size=64, num_workers=0, persistent_workers=False,
    dataset=dict(holes=unseen))
val_dataloader = held_out
test_dataloader = held_out
# |E(x)|, the reconstruction with and without holes, the terms of Eq. 10.
val_evaluator = [dict(type='MeanBound')]
test_evaluator = val_evaluator

optim_wrapper = dict(generator=dict(optimizer=dict(lr=1e-3)))
train_cfg = dict(max_epochs=20, val_interval=5)
