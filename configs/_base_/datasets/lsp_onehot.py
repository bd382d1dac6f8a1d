# LSP and its extension with the paper's own targets: one-hot maps, decoded
# by the argmax.
_base_ = ['./lsp.py']

codec = dict(_delete_=True, type='OneHotHeatmap', input_size=(256, 256),
             heatmap_size=(64, 64))
boxes = _base_.augment[:3]
affine = [dict(type='TopdownAffine', input_size=codec['input_size']),
          dict(type='GenerateTarget', encoder=dict(
              type='OneHotHeatmap', input_size=codec['input_size'],
              heatmap_size=codec['heatmap_size']))]
augment = boxes + affine + _base_.pack
still = boxes[:1] + affine[:1] + _base_.pack
bound = boxes[:1] + affine + _base_.pack

train = dict(dataset=dict(pipeline=augment))
test = dict(dataset=dict(pipeline=_base_.load + still))
test_bound = dict(dataset=dict(pipeline=_base_.load + bound))
test_blank = dict(dataset=dict(pipeline=_base_.blank + bound))
masked = boxes + affine + _base_.split + _base_.pack

train_dataloader = train
val_dataloader = test
test_dataloader = test
stage_data = dict(
    labelled=dict(train_dataloader=train, val_dataloader=test),
    labelled_bound=dict(train_dataloader=train, val_dataloader=test_bound),
    poses=dict(train_dataloader=train, val_dataloader=test_blank),
    silhouettes=dict(train_dataloader=dict(dataset=dict(pipeline=masked))))
