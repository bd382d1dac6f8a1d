# KeypointGAN on real faces: short clips of 40 % of the people, landmark poses
# of another 40 %, the test on the rest. Nobody is on two sides.
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'ibug_68'
pose_limit = None

pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             data_root=data_root, order='any', gap_min=1)
still = dict(pairs, test_mode=True)
faces = dict(type='FaceClips', split=dict(images=.4, poses=.4, val=.05,
                                          test=.15), split_seed=0)
# Frames that stand alone give poses and test images, too.
single = dict(faces, min_frames=1)
train_frames = dict(pairs, sources=[dict(faces, part='images')])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, limit=pose_limit, mirror=.5,
    sources=[dict(type='FramePoses', source=dict(single, part='poses'))])
val_frames = dict(still, sources=[dict(single, part='val')])
test_frames = dict(still, sources=[dict(single, part='test')])
fit_frames = dict(train_frames, test_mode=True, role='fit')

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='InterOcularNME')
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
