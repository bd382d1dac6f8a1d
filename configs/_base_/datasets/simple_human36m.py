# Simplified Human3.6M, as the paper's code trains on it: images of the first,
# poses of the second half of every sequence; S11 is the test. The data were
# not at hand: written for the layout that
# tools/dataset_converters/simple_human36m.py documents.
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'human36m_32'
pose_limit = None

pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             data_root=data_root, masks=True, gap_min=1, gap_max=1000)
still = dict(pairs, test_mode=True)
people = dict(
    type='FrameArchive', file='simple_human36m/frames.npz',
    command='python tools/dataset_converters/simple_human36m.py human_images',
    actions=['directions', 'discussion', 'greeting', 'posing', 'waiting',
             'walking'])
train_frames = dict(pairs, sources=[
    dict(people, subset='train', half='first', min_frames=2)])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, limit=pose_limit, sources=[dict(
        type='FramePoses', source=dict(people, subset='train',
                                       half='second'))])
val_frames = dict(still, limit=2000, sources=[dict(people, subset='test')])
test_frames = dict(still, sources=[dict(people, subset='test')])
fit_frames = dict(train_frames, test_mode=True, role='fit', limit=10000)

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='MeanKeypointError', unit='percent', by_action=True)
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
