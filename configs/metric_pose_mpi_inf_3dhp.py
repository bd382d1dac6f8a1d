# Metric pose on MPI-INF-3DHP: 3D labels of S1 alone, synchronised views of
# all training subjects. Written for the documented layout
# (tools/dataset_converters/mpi_inf_3dhp.py --views); the data were not at
# hand.
_base_ = ['./_base_/models/metric_pose.py',
          './_base_/schedules/metric_pose.py',
          './_base_/datasets/mpi_inf_3dhp_views.py']

# S1 to S6; S7 is held out for validation, S8 for the test.
model = dict(
    # Its two sequences of a person are in other clothes (spec T4.2).
    head=dict(loss=dict(within_sequence=True)),
    adversary=dict(num_subjects=6))
