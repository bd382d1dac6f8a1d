# The embedded world in crops of 64 x 64: no files, every label known.
label_fraction = 0.25
crop_cache = dict()  # see lsp.py
images = 2000
codec = dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(16, 16),
             sigma=1.)
meta_keys = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape',
             'input_size', 'input_center', 'input_scale', 'flip',
             'flip_direction', 'flip_indices', 'dataset_name', 'is_labeled')

box = [dict(type='GetBBoxCenterScale', padding=1.25)]
affine = [dict(type='TopdownAffine', input_size=codec['input_size']),
          dict(type='GenerateTarget', encoder=codec)]
pack = [dict(type='PackPoseInputs', meta_keys=meta_keys)]
augment = box + [
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_prob=0., rotate_factor=60.,
         scale_factor=(0.75, 1.25))] + affine
split = [dict(type='SplitSilhouette', heatmap_size=codec['heatmap_size'])]
mask = [dict(type='LoadSilhouette')]

world = dict(type='SyntheticPoseDataset', num_samples=images, split='train',
             image_size=96, label_fraction=label_fraction, split_seed=0)
labelled = dict(world, part='labelled')
test_set = dict(type='SyntheticPoseDataset', num_samples=500, split='test',
                image_size=96, test_mode=True)
held_out = dict(test_set, split='val', with_silhouette=True,
                pipeline=mask + box + affine + split + pack)

loader = dict(batch_size=32, num_workers=1, persistent_workers=True,
              drop_last=True,
              sampler=dict(type='DefaultSampler', shuffle=True))
train_dataloader = dict(
    batch_size=32, num_workers=1, persistent_workers=True, drop_last=True,
    sampler=dict(type='SemiSupervisedSampler', batch_size=32,
                 source_ratio=(24, 8)),
    dataset=dict(
        type='CombinedPoseDataset',
        datasets=[dict(labelled, pipeline=[]),
                  dict(world, part='unlabelled',
                       pipeline=[dict(type='DropLabels')])],
        pipeline=augment + pack))
val_dataloader = dict(
    batch_size=64, num_workers=1, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(test_set, pipeline=box + affine[:1] + pack))
test_dataloader = val_dataloader
val_evaluator = dict(type='LspPCK', norm=['bbox', 'torso'])
test_evaluator = val_evaluator

bound = dict(val_dataloader=dict(val_dataloader, dataset=held_out),
             val_evaluator=dict(type='MeanBound'))
train_labelled = dict(loader,
                      dataset=dict(labelled, pipeline=augment + pack))
stage_data = dict(
    labelled=dict(train_dataloader=train_labelled,
                  val_dataloader=val_dataloader,
                  val_evaluator=val_evaluator),
    labelled_bound=dict(train_dataloader=train_labelled, **bound),
    poses=dict(train_dataloader=train_labelled, **bound),
    silhouettes=dict(
        train_dataloader=dict(
            loader,
            dataset=dict(labelled, with_silhouette=True,
                         pipeline=mask + augment + split + pack)),
        **bound))
