# KeypointGAN's data from the embedded world: clips of people who move before
# a standing camera, 64 x 64, and poses of other people. No files.
_base_ = ['./unpaired_frames.py']

image_size = 64
joints = 'mpii_16'
masks = True  # the paper multiplies its images by the persons' masks
train_clips, pose_clips, held_clips = 500, 500, 60
# None: all poses. 50, 500 and 5000 are the paper's Table 5.
pose_limit = None

clip = dict(type='SyntheticClips', frames=12, shots=3, image_size=image_size,
            joints=joints)
pairs = dict(type='FramePairDataset', joints=joints, size=image_size,
             masks=masks, order='any', gap_min=2)
still = dict(pairs, test_mode=True)
# Ranges of clips that do not meet: nobody is on both sides.
train_frames = dict(pairs, sources=[dict(clip, clips=train_clips)])
train_poses = dict(
    type='UnpairedPoseDataset', joints=joints, size=image_size,
    limit=pose_limit, sources=[dict(type='FramePoses', source=dict(
        clip, clips=pose_clips, start=train_clips))])
val_frames = dict(still, sources=[
    dict(clip, clips=held_clips, world_split='val')])
test_frames = dict(still, sources=[
    dict(clip, clips=held_clips, world_split='test')])
fit_frames = dict(train_frames, test_mode=True, role='fit', limit=1000)

train_dataloader = dict(
    dataset=dict(frames=train_frames, poses=train_poses))
val_dataloader = dict(dataset=val_frames)
image_pipeline = [dict(step, input_size=(image_size, image_size))
                  if step['type'] == 'TopdownAffine' else step
                  for step in _base_.image_pipeline]
test_dataloader = dict(dataset=dict(
    datasets=[fit_frames, test_frames], pipeline=image_pipeline))
val_evaluator = dict(type='MeanKeypointError', unit='percent')
test_evaluator = val_evaluator
stage_data = dict(poses=dict(train_dataloader=dict(dataset=train_poses)))
