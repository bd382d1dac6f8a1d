# The real clip of four calibrated cameras, from pixels. One person, and the
# frames that are tested are among those learnt from: it shows that real views
# and calibrations go through, and nothing about other people.
_base_ = ['./_base_/models/metric_pose_small.py',
          './_base_/schedules/metric_pose_short.py',
          './_base_/datasets/multiview_balancing.py']

# One person has no identity to hide.
model = dict(adversary=None)
# 1.7 s are too short to take a second around a query out of the gallery.
test_dataloader = dict(dataset=dict(stride=2))
test_evaluator = [*_base_.val_evaluator,
                  dict(type='PoseRetrieval', variants=['kept'])]
