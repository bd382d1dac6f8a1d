# KeypointGAN on real people cut out: three fifths of LSPET's by their
# silhouettes, as the paper masks its humans, in pairs of warps of one image;
# poses of another fifth, of LSP and of captured motion. Nobody is on two
# sides, and LSP's test half lends poses alone. (The silhouettes were chosen
# with the help of the joints: what is learnt here is not quite without
# labels.)
_base_ = ['./unpaired_frames.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
joints = 'lsp_14'
pose_limit = None
padding = 1.35

lspet = dict(type='LspDataset', ann_file='lspet/lspet.npz')
people = dict(
    type='SilhouetteStills', dataset=lspet, crop='frame', padding=padding,
    split=dict(images=.6, poses=.2, val=.05, test=.15), split_seed=0)
stills = dict(type='StillPairDataset', joints=joints, size=image_size,
              masks=True, data_root=data_root)
still = dict(stills, test_mode=True)
train_frames = dict(stills, sources=[dict(people, part='images')])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    data_root=data_root, padding=padding, complete=True, limit=pose_limit,
    scale=(.9, 1.1), shift=.05, mirror=.5,
    sources=[
        dict(type='FramePoses', source=dict(people, part='poses')),
        dict(type='DatasetPoses', dataset=dict(
            lspet, ann_file='lsp/lsp.npz', data_root=data_root)),
        dict(type='MotionPoses', part='all', stride=60,
             cameras=dict(elevation=(-10., 30.)), sources=[
                 dict(type='MocapArchive', file='mocap/cmu31_30fps.npz'),
                 dict(type='MocapArchive',
                      file='mocap/bandai26_30fps.npz')])])
val_frames = dict(still, sources=[dict(people, part='val')])
test_frames = dict(still, sources=[dict(people, part='test')])
fit_frames = dict(train_frames, test_mode=True, role='fit')

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
test_dataloader = dict(dataset=dict(datasets=[fit_frames, test_frames]))
val_evaluator = dict(type='MeanKeypointError', unit='percent')
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
