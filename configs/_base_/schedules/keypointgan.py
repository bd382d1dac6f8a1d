# The published code: Adam 2e-4 (0.5, 0.999), batches of 16, no schedule,
# gradients clipped to norm 1 for each optimizer. Its regressor was trained
# for 580,000 iterations; how long an epoch is, is for the data to say.
_base_ = ['../default_runtime.py']

adam = dict(type='OptimWrapper', clip_grad=dict(max_norm=1.),
            optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)))
optim_wrapper = dict(
    constructor='PerChildOptimWrapperConstructor',
    generator=dict(children=['backbone', 'generator'], **adam),
    # With a second cycle: children=['discriminator', 'image_discriminator'].
    discriminator=dict(children=['discriminator'], **adam),
    regressor=dict(children=['head'], **adam))
param_scheduler = []

train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=1)
val_cfg = dict()
test_cfg = dict()
default_hooks = dict(
    logger=dict(interval=50),
    checkpoint=dict(interval=1, max_keep_ckpts=2),
    # Frames are cut and masked, so their files are not what is drawn on.
    visualization=dict(type='CropVisualizationHook'))
custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(type='NonFiniteGuard'),
    # Gradient norms; the spread of predicted poses beside the prior's.
    dict(type='AdversarialMonitor', interval=50),
    # Leaks, collapse, sides, discriminator: mon_* with thresholds and advice.
    dict(type='KeypointObservatory', interval=50),
]

stages = [
    # eta on poses alone; a copy of it stays behind as the offline regressor.
    dict(name='regressor', epochs=30, data='poses',
         model=dict(type='SkeletonRegressorPretraining',
                    take=['head', 'renderer', 'data_preprocessor']),
         cfg=dict(
             optim_wrapper=dict(_delete_=True, **adam),
             model_wrapper_cfg=dict(
                 _delete_=True, type='MMDistributedDataParallel'))),
    dict(name='keypointgan', epochs=30, init_from=dict(head='regressor')),
    # Unsupervised fine-tuning on other images (the paper's faces): one more
    # stage in the entry config,
    # dict(name='finetuned', epochs=10, data='other_frames',
    #      load_from_stage='keypointgan'),
    # with stage_data = dict(other_frames=dict(train_dataloader=...)).
]
