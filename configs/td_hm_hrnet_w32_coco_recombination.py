# mmpose's own HRNet on COCO, trained on recombined images. Two things are
# added to a stock config: silhouettes (COCO's polygons; leave the transform
# out, and capsules around the annotated limbs do), and the preprocessor.
_base_ = ['mmpose::body_2d_keypoint/topdown_heatmap/coco/'
          'td-hm_hrnet-w32_8xb64-210e_coco-256x192.py']

custom_imports = dict(imports=['mirrorpose'], allow_failed_imports=False)

model = dict(data_preprocessor=dict(
    type='RecombinationPreprocessor',
    recombination=dict(
        skeleton='coco_17',
        scene_prob=.8,
        appearance_prob=.5,
        # COCO has many people who have no annotated joint in the crop.
        min_joints=6)))

train_pipeline = [
    _base_.train_pipeline[0],  # LoadImage
    dict(type='LoadSilhouette', required=False),
    *_base_.train_pipeline[1:]]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
