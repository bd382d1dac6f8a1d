# 2D joints in views like those of metric_pose_{synthetic,mocap}.py. What it
# finds is what a model of 2D joints then reads, so it learns from other people
# at many places: of its own it would find them far better in training than in
# the test.
#   python tools/train.py configs/recognizer_views_synthetic.py
#   python tools/detect_views.py configs/metric_pose_synthetic.py \
#       configs/recognizer_views_synthetic.py CHECKPOINT OUT.npz
_base_ = ['./_base_/models/recognizer_views.py',
          './_base_/datasets/synthetic_views.py']

source = dict(seed=1, subjects=400, clips=1, seconds=6., place='clip',
              actions=None)
held_out = dict(val=['person_39?'], test=['person_38?'])
people = dict(source=source, held_out=held_out)
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
