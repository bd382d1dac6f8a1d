# MPII with the HRNet split, 22 K people for training and 3 K for testing.
# Square crops, as the paper's text says; its Table 8 counts 256 x 192.
_base_ = ['./lsp.py']

mpii = dict(
    type='MpiiSplitDataset', data_root=_base_.data_root,
    ann_file='mpii/annotations/mpii_train.json',
    data_prefix=dict(img='mpii/images/'),
    label_fraction=_base_.label_fraction, split_seed=0)
augmented = _base_.augment + _base_.pack
blank = [dict(type='LoadBlankImage')]

labelled = dict(_delete_=True, **dict(mpii, part='labelled',
                                      pipeline=_base_.load + augmented))
train_dataloader = dict(dataset=dict(
    datasets=[dict(mpii, part='labelled', pipeline=_base_.load),
              dict(mpii, part='unlabelled', pipeline=_base_.drop)]))
test_set = dict(
    _delete_=True, type='MpiiSplitDataset', data_root=_base_.data_root,
    ann_file='mpii/annotations/mpii_val.json',
    headbox_file=_base_.data_root + 'mpii/annotations/mpii_gt_val.mat',
    data_prefix=dict(img='mpii/images/'), test_mode=True)
still = _base_.still + _base_.pack
val_dataloader = dict(dataset=dict(test_set, pipeline=_base_.load + still))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='MpiiPCKTable')
test_evaluator = val_evaluator

stage_data = dict(
    labelled=dict(train_dataloader=dict(dataset=labelled),
                  val_dataloader=val_dataloader,
                  val_evaluator=val_evaluator),
    labelled_bound=dict(
        train_dataloader=dict(dataset=labelled),
        val_dataloader=dict(dataset=dict(
            test_set, pipeline=_base_.load + _base_.still_target))),
    poses=dict(
        train_dataloader=dict(dataset=dict(
            _delete_=True, **dict(mpii, part='labelled',
                                  pipeline=blank + augmented))),
        val_dataloader=dict(dataset=dict(
            test_set, pipeline=blank + _base_.still_target))),
    # UP-S1h without the images that it shares with LSP and MPII (Section
    # 5.1); prepare it with tools/dataset_converters/silhouettes.py.
    silhouettes=dict(train_dataloader=dict(dataset=dict(
        _delete_=True, type='SilhouetteDataset', layout='folder',
        data_root=_base_.data_root + 'up_s1h',
        image_dir='images.zip', mask_dir='masks.zip',
        pipeline=_base_.load + [dict(type='LoadSilhouette')]
        + _base_.augment + _base_.split + _base_.pack))))
