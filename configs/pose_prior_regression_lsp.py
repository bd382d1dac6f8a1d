# As pose_prior_heatmap_lsp.py, for a head that regresses coordinates. RLE:
# head.type='RLEHead', head.loss.loss=dict(type='RLELoss',
# use_target_weight=True).
_base_ = ['./pose_prior_heatmap_lsp.py']

codec = dict(type='RegressionLabel', input_size=(96, 96))
train_dataloader = dict(dataset=dict(
    pipeline=_base_.boxes + [
        dict(type='TopdownAffine', input_size=codec['input_size']),
        dict(type='GenerateTarget', encoder=codec)] + _base_.pack))
# The crop cache draws heatmaps; coordinates come from mmpose's pipeline.
crop_cache = None

prior_loss = _base_.model.head.loss
model = dict(
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        _delete_=True,
        type='RegressionHead',
        in_channels=256,
        num_joints=16,
        decoder=codec,
        loss=dict(
            type='PosePriorLoss',
            loss=dict(type='SmoothL1Loss', use_target_weight=True),
            # At a trained recognizer: a tenth of the ordinary gradient.
            weight=3e-6,
            prior=prior_loss.prior,
            checkpoint=prior_loss.checkpoint)),
    train_cfg=dict(_delete_=True),
    test_cfg=dict(flip_test=True, shift_coords=True))
