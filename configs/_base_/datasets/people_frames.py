# KeypointGAN on real people: one person before four cameras and three more
# clips; poses from motion capture, projected, and from LSP and LSPET. There
# are four people in all: this shows that the way works, not generalisation.
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'lsp_14'
pose_limit = None

# Clips of 40 to 264 frames; partners at least 8 frames away (trap T2.2).
pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             data_root=data_root, order='any', gap_min=8, gap_max=200)
still = dict(pairs, test_mode=True)
# Cut around each frame's joints, as the poses are framed. Camera 4 is held
# out for the test (a view) and the jumping jacks for validation (a person,
# with a detector's landmarks as pseudo-labels).
padding = 1.35
cameras = dict(type='MultiviewCrops', file='multiview/balancing.npz',
               crop='frame', padding=padding,
               split=dict(test=['cam4'], train=1.))
clips = dict(type='VideoCrops', crop='frame', padding=padding,
             split=dict(val=['jacks'], train=1.))
# Poses: 7,200 projected ones, 7,600 photographed ones with all joints.
projected = dict(
    type='MotionPoses', part='all', stride=30,
    cameras=dict(elevation=(-10., 30.)), sources=[
        dict(type='MocapArchive', file='mocap/cmu31_30fps.npz'),
        dict(type='MocapArchive', file='mocap/bandai26_30fps.npz')])
lsp = dict(type='LspDataset', ann_file='lsp/lsp.npz', data_root=data_root)
photographed = [
    dict(type='DatasetPoses', dataset=lsp),
    dict(type='DatasetPoses', dataset=dict(lsp,
                                           ann_file='lspet/lspet.npz'))]

train_frames = dict(pairs, sources=[dict(cameras, part='train'),
                                    dict(clips, part='train')])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, padding=padding, complete=True, limit=pose_limit,
    scale=(.9, 1.1), shift=.05, mirror=.5,
    sources=[projected, *photographed])
val_frames = dict(still, sources=[dict(clips, part='val')])
test_frames = dict(still, sources=[dict(cameras, part='test')])
fit_frames = dict(still, role='fit', sources=[dict(cameras, part='train')])

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='MeanKeypointError', unit='percent')
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
