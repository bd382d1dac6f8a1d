# An ordinary mmpose model, heatmaps by ResNet-18, to which an EmbeddingHead
# with HardNetLoss and an IdentityAdversary is added: the head that was there
# goes on beside it. Views of the embedded world; all losses train the
# backbone.
_base_ = ['./_base_/models/recognizer_views.py',
          './_base_/datasets/synthetic_views.py']

model = dict(head=dict(
    _delete_=True, type='EmbeddingHead', in_channels=256, embedding_dim=128,
    loss=dict(type='HardNetLoss', near_seconds=1., warm_up=160,
              # a heatmap's squared error is small
              loss_weight=0.001),
    # Who it is shall not be told by the embedding: 32 training people.
    adversary=dict(type='IdentityAdversary', num_subjects=32,
                   loss_weight=0.0001),
    beside=_base_.model.head))

# No flips: all views of an instant would have to be flipped alike. No 3D
# labels are read, so none are asked for.
train_dataloader = dict(
    batch_size=64, sampler=dict(annotated_groups=0),
    dataset=dict(pipeline=_base_.train_pipeline, augmentation=None))
val_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=_base_.val_pipeline))
val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2,
                     norm_item='bbox')
test_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2,
                      norm_item='bbox')

optim_wrapper = dict(optimizer=dict(lr=1e-3))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[18, 24], gamma=0.1, by_epoch=True)]
train_cfg = dict(max_epochs=30)

custom_hooks = [*_base_.custom_hooks, dict(type='EmbeddingWatch')]
