# 300-W as in the paper: trained on VoxCeleb2, then fine-tuned without labels
# on 300-W's training images, in warped pairs.
_base_ = ['./keypointgan_voxceleb2.py']

stills = dict(type='StillPairDataset', joints=_base_.joints,
              size=_base_.image_size, data_root=_base_.data_root,
              sources=[dict(_base_.w300, subset='train')])
stage_data = dict(w300=dict(train_dataloader=dict(
    _base_.loader, dataset=dict(
        type='UnpairedDataset', frames=stills, poses=_base_.train_poses)),
    val_dataloader=_base_.val_dataloader,
    val_evaluator=_base_.val_evaluator))
stages = [*_base_.stages, dict(
    name='finetuned', epochs=10, data='w300', load_from_stage='keypointgan')]
