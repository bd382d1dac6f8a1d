# MirrorNet around HRNet-W32 on LSP + LSPET, the whole curriculum:
#   bash tools/dist_train.sh configs/mirrornet_hrnet_lsp.py 4
_base_ = [
    './_base_/models/mirrornet_hrnet_w32.py',
    './_base_/datasets/lsp.py',
    './_base_/schedules/mirrornet.py',
]

model = dict(head=dict(decoder=_base_.codec))
