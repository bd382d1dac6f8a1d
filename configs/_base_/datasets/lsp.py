# LSP and its extension: 11 K (here: those at hand) for training, LSP's
# standard 1 K for testing. Crops of 256 x 256.
data_mode, dataset_type = 'topdown', 'LspDataset'  # for mmpose's inferencers
data_root = '{{$MIRRORPOSE_DATA:data}}/'
label_fraction = 0.2  # of both sets, by a seeded hash of the sample's id
# People are decoded and cropped once; batches are made from memory-mapped
# bytes (docs/engine.md). None: mmpose's pipeline, image by image.
crop_cache = dict()

# Gaussian maps; the paper's are one-hot: dict(type='OneHotHeatmap', ...).
codec = dict(type='MSRAHeatmap', input_size=(256, 256),
             heatmap_size=(64, 64), sigma=2.)
meta_keys = ('id', 'img_id', 'img_path', 'ori_shape', 'img_shape',
             'input_size', 'input_center', 'input_scale', 'flip',
             'flip_direction', 'flip_indices', 'dataset_name', 'is_labeled')

# What every sample goes through after it is loaded. Scale 1 +- 0.25, rotation
# up to 60 degrees (sigma 30) with probability 0.6, flip: HRNet's for MPII.
augment = [
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_prob=0., rotate_factor=60.,
         scale_factor=(0.75, 1.25)),
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='GenerateTarget', encoder=codec),
]
still = [
    dict(type='GetBBoxCenterScale', padding=1.25),
    dict(type='TopdownAffine', input_size=codec['input_size']),
]
target = [dict(type='GenerateTarget', encoder=codec)]
split = [dict(type='SplitSilhouette', heatmap_size=codec['heatmap_size'])]
pack = [dict(type='PackPoseInputs', meta_keys=meta_keys)]
load = [dict(type='LoadCheckedImage')]

lsp = dict(type='LspDataset', data_root=data_root, ann_file='lsp/lsp.npz',
           subset='train', label_fraction=label_fraction, split_seed=0)
lspet = dict(lsp, ann_file='lspet/lspet.npz')
test_set = dict(type='LspDataset', data_root=data_root,
                ann_file='lsp/lsp.npz', subset='test', test_mode=True)

labelled = dict(
    type='CombinedPoseDataset',
    datasets=[dict(lsp, part='labelled', pipeline=load),
              dict(lspet, part='labelled', pipeline=load)])
drop = load + [dict(type='DropLabels')]
unlabelled = dict(
    type='CombinedPoseDataset',
    datasets=[dict(lsp, part='unlabelled', pipeline=drop),
              dict(lspet, part='unlabelled', pipeline=drop)])

loader = dict(batch_size=128, num_workers=4, persistent_workers=True,
              drop_last=True,
              sampler=dict(type='DefaultSampler', shuffle=True))
train_dataloader = dict(
    batch_size=128, num_workers=4, persistent_workers=True, drop_last=True,
    # 96 annotated and 32 un-annotated images (Section 5.2).
    sampler=dict(type='SemiSupervisedSampler', batch_size=128,
                 source_ratio=(96, 32)),
    dataset=dict(type='CombinedPoseDataset',
                 datasets=[labelled, unlabelled], pipeline=augment + pack))
val_dataloader = dict(
    batch_size=64, num_workers=4, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(test_set, pipeline=load + still + pack))
test_dataloader = val_dataloader
val_evaluator = dict(type='LspPCK', norm=['bbox', 'torso'])
test_evaluator = val_evaluator

still_target = still + target + pack
bound = dict(val_dataloader=dict(
                 val_dataloader,
                 dataset=dict(test_set, pipeline=load + still_target)),
             val_evaluator=dict(type='MeanBound'))
blank = [dict(type='LoadBlankImage')]
masked = dict(with_silhouette=True, part='labelled',
              pipeline=load + [dict(type='LoadSilhouette')])
stage_data = dict(
    labelled=dict(
        train_dataloader=dict(
            loader, dataset=dict(labelled, pipeline=augment + pack)),
        val_dataloader=val_dataloader, val_evaluator=val_evaluator),
    labelled_bound=dict(
        train_dataloader=dict(
            loader, dataset=dict(labelled, pipeline=augment + pack)),
        **bound),
    # Poses alone: no image is read.
    poses=dict(
        train_dataloader=dict(
            loader,
            dataset=dict(
                type='CombinedPoseDataset',
                datasets=[dict(lsp, part='labelled', pipeline=blank),
                          dict(lspet, part='labelled', pipeline=blank)],
                pipeline=augment + pack)),
        val_dataloader=dict(
            val_dataloader,
            dataset=dict(test_set, pipeline=blank + still_target)),
        val_evaluator=dict(type='MeanBound')),
    # Silhouettes of annotated people only: they were chosen with the joints.
    silhouettes=dict(
        train_dataloader=dict(
            loader,
            dataset=dict(
                type='CombinedPoseDataset',
                datasets=[dict(lsp, **masked), dict(lspet, **masked)],
                pipeline=augment + split + pack))))
