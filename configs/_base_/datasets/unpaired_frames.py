# What KeypointGAN's data have in common: pairs of frames and poses of others
# for training, single frames for validation and test, and poses alone for the
# regressor's stage. A config of data names the data sets in it.

# How any image of a person becomes an input, for mmpose's inferencers; frames
# are cut by their data sets. The sides are the config's image_size.
data_mode, dataset_type = 'topdown', 'HeldFrames'
image_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.),
    dict(type='TopdownAffine', input_size=(128, 128)),
    dict(type='PackPoseInputs')]

loader = dict(batch_size=16, num_workers=2, persistent_workers=True,
              drop_last=True,
              sampler=dict(type='DefaultSampler', shuffle=True))
held_loader = dict(
    batch_size=64, num_workers=1, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False))
train_dataloader = dict(loader, dataset=dict(type='UnpairedDataset'))
val_dataloader = dict(held_loader)
# The supervised post-processing is fitted to the frames in front; no figure
# counts them.
test_dataloader = dict(held_loader, dataset=dict(
    type='HeldFrames', pipeline=image_pipeline))
# Poses alone, for the regressor's stage.
stage_data = dict(poses=dict(train_dataloader=dict(loader, batch_size=64)))
