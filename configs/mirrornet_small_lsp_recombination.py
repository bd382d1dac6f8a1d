# The small curriculum on LSP + LSPET, with recombined images in the joint
# stages (ours, not the paper's; docs/mirrornet.md). The recognizer that they
# start from and the baseline, which goes on from it for as many steps, see
# images as they are.
#   python tools/train.py configs/mirrornet_small_lsp_recombination.py
_base_ = ['./mirrornet_small_lsp.py']

mean = _base_.model.data_preprocessor.mean
std = _base_.model.data_preprocessor.std
recombination = dict(
    type='Recombination', skeleton='mpii_16', mean=mean, std=std,
    scene_prob=.8, appearance_prob=.5,
    # Un-annotated people are cut out by the model's own recognizer and mask
    # estimator, which have seen annotated images only when this begins.
    estimator='model')
model = dict(data_preprocessor=dict(batch_augments=[recombination]))
plain = dict(model=dict(data_preprocessor=dict(batch_augments=None)))

# Annotated people with their silhouettes, at the size of the input; where
# one fails the quality gate, capsules around the limbs stand in.
codec = _base_.codec
silhouettes = dict(with_silhouette=True, min_mask_quality=False,
                   part='labelled',
                   pipeline=_base_.load + [dict(type='LoadSilhouette')])
pack = [dict(type='PackPoseInputs',
             meta_keys=_base_.meta_keys + ('silhouette_good', ))]
augment = _base_.augment[:5] + [
    dict(type='SplitSilhouette', heatmap_size=codec.input_size)] + pack
masked = dict(
    batch_size=128, num_workers=1, persistent_workers=True, drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CombinedPoseDataset', pipeline=augment, datasets=[
        dict(_base_.lsp, **silhouettes), dict(_base_.lspet, **silhouettes)]))
stage_data = dict(masked=dict(
    train_dataloader=masked, val_dataloader=_base_.val_dataloader,
    val_evaluator=_base_.val_evaluator))

recombined = ('supervised', 'supervised_long', 'semi_supervised')
stages = [
    dict(stage, cfg=plain) if stage['name'] not in recombined else
    dict(stage, data='masked') if stage['name'] != 'semi_supervised' else
    stage for stage in _base_.stages]
