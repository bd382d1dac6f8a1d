# Faces as in the paper: images of VoxCeleb2, poses of MultiPIE (68 points),
# evaluated on 300-W. Prepared by tools/dataset_converters/voxceleb2.py,
# multipie.py and w300.py; the data were not at hand.
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'ibug_68'
pose_limit = None

pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             data_root=data_root, gap_min=3, gap_max=1000)
video = dict(
    type='FrameArchive', file='voxceleb2/frames.npz', crop='centre',
    min_frames=4,
    command='python tools/dataset_converters/voxceleb2.py vox2')
poses = dict(
    type='FrameArchive', file='multipie/frames.npz', crop='frame',
    padding=1.7, command='python tools/dataset_converters/multipie.py labels')
w300 = dict(
    type='FrameArchive', file='300w/frames.npz', crop='frame', padding=1.7,
    command='python tools/dataset_converters/w300.py 300w')
still = dict(pairs, test_mode=True)
train_frames = dict(pairs, sources=[video])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, limit=pose_limit, mirror=.5,
    sources=[dict(type='FramePoses', source=poses)])
val_frames = dict(still, limit=200, sources=[dict(w300, subset='test')])
test_frames = dict(still, sources=[dict(w300, subset='test')])
fit_frames = dict(still, role='fit', sources=[dict(w300, subset='train')])

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='InterOcularNME')
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
