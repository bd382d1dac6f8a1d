# 300-W's training images as still pairs, for unsupervised fine-tuning after
# VoxCeleb2; poses of MultiPIE. Prepared by tools/dataset_converters/w300.py
# and multipie.py; the data were not at hand.
data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'ibug_68'
pose_limit = None

w300 = dict(
    type='FrameArchive', file='300w/frames.npz', crop='frame', padding=1.7,
    command='python tools/dataset_converters/w300.py 300w')
poses = dict(
    type='FrameArchive', file='multipie/frames.npz', crop='frame',
    padding=1.7, command='python tools/dataset_converters/multipie.py labels')
stills = dict(type='StillPairDataset', joints=joints, size=image_size,
              data_root=data_root)
still = dict(stills, test_mode=True)
train_frames = dict(stills, sources=[dict(w300, subset='train')])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, limit=pose_limit, mirror=.5,
    sources=[dict(type='FramePoses', source=poses)])
val_frames = dict(still, limit=200, sources=[dict(w300, subset='test')])
test_frames = dict(still, sources=[dict(w300, subset='test')])
fit_frames = dict(still, role='fit', sources=[dict(w300, subset='train')])

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
val_evaluator = dict(type='InterOcularNME')
test_evaluator = val_evaluator
# Poses alone, for the regressor's stage.
stage_data = dict(poses=dict(
    train_dataloader=dict(loader, batch_size=64, dataset=train_poses)))
