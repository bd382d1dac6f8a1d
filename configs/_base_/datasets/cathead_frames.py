# CatHead: still pairs of one half of the training images, poses of the other.
# Prepared by tools/dataset_converters/cathead.py; the data were not at hand.
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'cathead_7'
pose_limit = None

cats = dict(
    type='FrameArchive', file='cathead/frames.npz', crop='frame', padding=2.,
    command='python tools/dataset_converters/cathead.py CAT_DATASET')
halves = dict(cats, subset='train', split=dict(images=.5, poses=.5))
stills = dict(type='StillPairDataset', joints=joints, size=image_size,
              data_root=data_root)
still = dict(stills, test_mode=True)
train_frames = dict(stills, sources=[dict(halves, part='images')])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, limit=pose_limit, mirror=.5,
    sources=[dict(type='FramePoses', source=dict(halves, part='poses'))])
val_frames = dict(still, limit=500, sources=[dict(cats, subset='test')])
test_frames = dict(still, sources=[dict(cats, subset='test')])
fit_frames = dict(train_frames, test_mode=True, role='fit')

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='InterOcularNME', keypoint_indices=(0, 1))
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
