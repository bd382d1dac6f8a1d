# Windows of motion capture, seen by virtual cameras through holes of every
# kind: what completers are trained on. The split is that of the base.
_base_ = ['./mocap_sequences.py']

# First what the detector knows (all 28 joints now and then), then what it
# misses in this window. A limb is hidden for up to twice as long as a window:
# who never sees that in training fails at it (docs/jumps.md).
holes = [
    dict(type='OneOfHoles', weights=[9, 1],
         patterns=[dict(type='UnseenJoints'), None]),
    dict(type='OneOfHoles', weights=[2, 2, 4, 1, 1], patterns=[
        None,
        dict(type='RandomDrops', p=(0., .3)),
        dict(type='HiddenLimb', seconds=(.16, 2.)),
        dict(type='MissingFrames', n=(2, 16)),
        dict(type='HoleChain', patterns=[
            dict(type='RandomDrops', p=(0., .2)),
            dict(type='HiddenLimb', seconds=(.16, 2.))])])]
unseen = [dict(type='UnseenJoints')]

train_dataloader = dict(batch_size=128, dataset=dict(holes=holes))
val_dataloader = dict(batch_size=128, dataset=dict(stride=24, holes=unseen))
test_dataloader = dict(batch_size=128, dataset=dict(stride=24, holes=unseen))
val_evaluator = [dict(type='SequencePCKh'), dict(type='SequenceErrors')]
test_evaluator = val_evaluator
