# MirrorNet around the eight-stack hourglass on LSP + LSPET, the curriculum:
#   bash tools/dist_train.sh configs/mirrornet_hourglass_lsp.py 4
_base_ = [
    './_base_/models/mirrornet_hourglass.py',
    './_base_/datasets/lsp.py',
    './_base_/schedules/mirrornet.py',
]

model = dict(head=dict(decoder=_base_.codec))
