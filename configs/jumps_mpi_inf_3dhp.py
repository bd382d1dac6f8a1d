# JUMPS as published: MPI-INF-3DHP seen by random cameras, 28 joints, windows
# of 24 frames, 60 epochs of about 835,000 windows. The motion comes from
#   python tools/dataset_converters/mpi_inf_3dhp.py FOLDER --out data/
_base_ = ['./_base_/models/jumps.py', './_base_/schedules/jumps.py']

windows = dict(
    type='PoseSequenceDataset', fps=25.,
    sources=[dict(type='MocapArchive', file='mpi_inf_3dhp/motion.npz',
                  held_out=dict(test=['S8']))])
train_dataloader = dict(
    batch_size=256, num_workers=2, persistent_workers=True, drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    # Every place is seen by 80 cameras in an epoch, other ones in the next.
    dataset=dict(windows, part='train', views=80, random_start=True))
val_dataloader = dict(
    batch_size=256, num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(windows, part='test', stride=24,
                 holes=[dict(type='UnseenJoints')]))
test_dataloader = val_dataloader
# |E(x)|, the reconstruction with and without holes, the terms of Eq. 10.
val_evaluator = [dict(type='MeanBound')]
test_evaluator = val_evaluator
