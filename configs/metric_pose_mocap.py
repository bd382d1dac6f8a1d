# Metric pose on real captured motion, drawn by the embedded world from four
# cameras; whole subjects and styles are held out. Two CPU cores.
_base_ = ['./_base_/models/metric_pose_small.py',
          './_base_/schedules/metric_pose_short.py',
          './_base_/datasets/mocap_views.py']

# More than there are training subjects does no harm.
model = dict(adversary=dict(num_subjects=64))
# A step is 1.2 times as fast.
channels_last = True
