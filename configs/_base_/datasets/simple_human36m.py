# Simplified Human3.6M, as the paper's code trains on it: images of the first,
# poses of the second half of every sequence; S11 is the test. The data were
# not at hand: written for the layout that
# tools/dataset_converters/simple_human36m.py documents.
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
val_evaluator = dict(type='MeanKeypointError', unit='percent', by_action=True)
test_evaluator = val_evaluator
# Poses alone, for the regressor's stage.
stage_data = dict(poses=dict(
    train_dataloader=dict(loader, batch_size=64, dataset=train_poses)))
