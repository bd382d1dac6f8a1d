# Human3.6M's images with the poses of MPI-INF-3DHP as the prior: 28 joints,
# evaluated as Human3.6M's 17 joints (the thorax as the middle of the
# shoulders, on both sides), in pixels. Prepared by
# tools/dataset_converters/h36m.py and mpi_inf_3dhp.py; the data were not at
# hand.
_base_ = ['./unpaired_frames.py']

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

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='MeanKeypointError', unit='pixel',
                     evaluate_in='h36m_17', by_action=True)
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
