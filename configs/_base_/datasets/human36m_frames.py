# Human3.6M, prepared by tools/dataset_converters/h36m.py: S1, 5, 6, 7, 8 for
# training, S9 and S11 for the test; 17 of 32 joints are evaluated, in pixels
# of the original image. The data were not at hand.
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'human36m_32'
pose_limit = None
evaluated = [
    'pelvis', 'right_hip', 'right_knee', 'right_ankle', 'left_hip',
    'left_knee', 'left_ankle', 'thorax', 'head_center', 'head_back',
    'neck_base', 'left_shoulder', 'left_elbow', 'left_wrist',
    'right_shoulder', 'right_elbow', 'right_wrist']

pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             data_root=data_root, gap_min=1, gap_max=1000)
still = dict(pairs, test_mode=True)
train_subjects = ['S1', 'S5', 'S6', 'S7', 'S8']
people = dict(type='ViewFrames', folder='h36m', crop='whole')
train_people = dict(people, subjects=train_subjects, min_frames=4)
test_people = dict(people, subjects=['S9', 'S11'])
train_frames = dict(pairs, sources=[dict(train_people, half='first')])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, limit=pose_limit, sources=[dict(
        type='FramePoses', source=dict(train_people, half='second'))])
val_frames = dict(still, limit=2000, sources=[test_people])
test_frames = dict(still, sources=[test_people])
fit_frames = dict(train_frames, test_mode=True, role='fit', limit=10000)

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='MeanKeypointError', unit='pixel',
                     joints=evaluated, by_action=True)
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
