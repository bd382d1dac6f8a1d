# MirrorNet around the eight-stack hourglass on MPII, the whole curriculum:
#   bash tools/dist_train.sh configs/mirrornet_hourglass_mpii.py 4
_base_ = [
    './_base_/models/mirrornet_hourglass.py',
    './_base_/datasets/mpii_256.py',
    './_base_/schedules/mirrornet.py',
]

model = dict(head=dict(decoder=_base_.codec))
