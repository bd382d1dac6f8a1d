# Human3.6M's images with the poses of MPI-INF-3DHP as the prior: 28 joints,
# of which those that Human3.6M annotates are evaluated, in pixels. Prepared by
# tools/dataset_converters/h36m.py and mpi_inf_3dhp.py; the data were not at
# hand.
data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'mpi_inf_3dhp_28'
pose_limit = None

pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             data_root=data_root, gap_min=1, gap_max=1000)
still = dict(pairs, test_mode=True)
people = dict(type='ViewFrames', folder='h36m', crop='frame', padding=1.25)
train_people = dict(people, subjects=['S1', 'S5', 'S6', 'S7', 'S8'],
                    min_frames=2)
test_people = dict(people, subjects=['S9', 'S11'])
train_frames = dict(pairs, sources=[train_people])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, padding=1.25, limit=pose_limit, sources=[dict(
        type='MotionPoses', part='all', stride=5, views=4,
        cameras=dict(elevation=(-10., 30.)), sources=[dict(
            type='MocapArchive', file='mpi_inf_3dhp/motion.npz')])])
val_frames = dict(still, limit=2000, sources=[test_people])
test_frames = dict(still, sources=[test_people])
fit_frames = dict(train_frames, test_mode=True, role='fit', limit=10000)

loader = dict(batch_size=16, num_workers=2, persistent_workers=True,
              drop_last=True,
              sampler=dict(type='DefaultSampler', shuffle=True))
held_loader = dict(
    batch_size=64, num_workers=1, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
train_dataloader = dict(loader, dataset=dict(
    type='UnpairedDataset', frames=train_frames, poses=train_poses))
val_dataloader = dict(held_loader, dataset=val_frames)
# The supervised post-processing is fitted to the frames in front; no figure
# counts them.
test_dataloader = dict(held_loader, dataset=dict(
    type='ConcatDataset', datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='MeanKeypointError', unit='pixel',
                     by_action=True)
test_evaluator = val_evaluator
# Poses alone, for the regressor's stage.
stage_data = dict(poses=dict(
    train_dataloader=dict(loader, batch_size=64, dataset=train_poses)))
