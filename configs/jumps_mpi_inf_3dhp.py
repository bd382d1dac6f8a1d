# JUMPS as published: MPI-INF-3DHP seen by random cameras, 28 joints, windows
# of 24 frames, 60 epochs of about 835,000 windows. The motion comes from
#   python tools/dataset_converters/mpi_inf_3dhp.py FOLDER --out data/
_base_ = ['./_base_/models/jumps.py', './_base_/schedules/jumps.py',
          './_base_/datasets/mpi_inf_3dhp_sequences.py']

held_out = dict(
    dataset=dict(stride=24, holes=[dict(type='UnseenJoints')]))
train_dataloader = dict(
    num_workers=2,
    # Every place is seen by 80 cameras in an epoch, other ones in the next;
    # nothing is mirrored.
    dataset=dict(views=80, mirror=0.))
val_dataloader = held_out
test_dataloader = held_out
# |E(x)|, the reconstruction with and without holes, the terms of Eq. 10.
val_evaluator = [dict(type='MeanBound')]
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(interval=1))
