# PennAction: half of the training videos for images, the other half for
# poses. The 12 limb joints, which its head has no partner among; prepared by
# tools/dataset_converters/penn_action.py. The data were not at hand.
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'alphapose_12'
pose_limit = None

pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             data_root=data_root, gap_min=3, gap_max=1000)
still = dict(pairs, test_mode=True)
people = dict(
    type='FrameArchive', file='penn_action/frames.npz', crop='frame',
    padding=1.25,
    command='python tools/dataset_converters/penn_action.py Penn_Action')
halves = dict(people, subset='train', split=dict(images=.5, poses=.5))
train_frames = dict(pairs, sources=[
    dict(halves, part='images', min_frames=4)])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, limit=pose_limit, sources=[dict(
        type='FramePoses', source=dict(halves, part='poses'))])
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
