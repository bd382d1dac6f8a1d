# Metric pose on the embedded world, 96 x 96, for two CPU cores:
#   python tools/train.py configs/metric_pose_synthetic.py
# A tenth of the instants has 3D labels. An epoch has 80 iterations.
_base_ = ['./_base_/models/metric_pose_small.py',
          './_base_/schedules/metric_pose_short.py',
          './_base_/datasets/synthetic_views.py']

model = dict(adversary=dict(num_subjects=32))
# A step is 1.2 times as fast.
channels_last = True
