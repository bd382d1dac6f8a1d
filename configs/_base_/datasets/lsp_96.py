# LSP and its extension in crops of 96 x 96, for two CPU cores.
_base_ = ['./lsp.py']

codec = dict(type='MSRAHeatmap', input_size=(96, 96), heatmap_size=(24, 24),
             sigma=1.)
boxes = _base_.augment[:3]
affine = [dict(type='TopdownAffine', input_size=codec['input_size']),
          dict(type='GenerateTarget', encoder=codec)]
augment = boxes + affine + _base_.pack
still = boxes[:1] + affine[:1] + _base_.pack
bound = boxes[:1] + affine + _base_.pack
split = [dict(type='SplitSilhouette', heatmap_size=codec['heatmap_size'])]

train = dict(num_workers=1, dataset=dict(pipeline=augment))
test = dict(num_workers=1, dataset=dict(pipeline=_base_.load + still))
test_bound = dict(num_workers=1, dataset=dict(pipeline=_base_.load + bound))
test_blank = dict(num_workers=1, dataset=dict(pipeline=_base_.blank + bound))

train_dataloader = train
val_dataloader = test
test_dataloader = test
stage_data = dict(
    labelled=dict(train_dataloader=train, val_dataloader=test),
    labelled_bound=dict(train_dataloader=train, val_dataloader=test_bound),
    # Small batches: the pose VAE needs steps more than it needs poses.
    poses=dict(train_dataloader=dict(train, batch_size=32),
               val_dataloader=test_blank),
    silhouettes=dict(train_dataloader=dict(
        num_workers=1,
        dataset=dict(pipeline=boxes + affine + split + _base_.pack))))
