# Human3.6M's images with the poses of MPI-INF-3DHP, 28 joints.
_base_ = [
    './_base_/models/keypointgan.py',
    './_base_/datasets/mpi_inf_3dhp_prior.py',
    './_base_/schedules/keypointgan.py',
]

model = dict(
    head=dict(skeleton=_base_.joints),
    renderer=dict(skeleton=_base_.joints, size=_base_.image_size))
