# 2D joints in views like metric_pose_mocap.py's, of the same training motions
# on other people (see recognizer_views_synthetic.py):
#   python tools/train.py configs/recognizer_views_mocap.py
#   python tools/detect_views.py configs/metric_pose_mocap.py \
#       configs/recognizer_views_mocap.py CHECKPOINT OUT.npz
_base_ = ['./_base_/models/recognizer_views.py',
          './_base_/datasets/mocap_views.py']

source = dict(seed=1, people=4, place='clip')
people = dict(source=source)
train_dataloader = dict(
    batch_size=64,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=True),
    dataset=dict(people, pipeline=_base_.train_pipeline, annotated=None,
                 augmentation=None))
val_dataloader = dict(dataset=dict(people, pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(people, pipeline=_base_.val_pipeline))
val_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2,
                     norm_item='bbox')
test_evaluator = dict(_delete_=True, type='PCKAccuracy', thr=0.2,
                      norm_item='bbox')
