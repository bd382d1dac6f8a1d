# Metric pose on Human3.6M: 3D labels of S1 alone, synchronised views of all
# training subjects, in the size of the paper. Written for the documented
# layout (tools/dataset_converters/h36m.py); the data were not at hand.
_base_ = ['./_base_/models/metric_pose.py',
          './_base_/schedules/metric_pose.py',
          './_base_/datasets/h36m_views.py']

# S1, S5, S6 and S7; S8 is held out for validation.
model = dict(adversary=dict(num_subjects=4))
