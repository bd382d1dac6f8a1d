# The whole curriculum on LSP + LSPET on two CPU cores (about two hours):
#   python tools/train.py configs/mirrornet_small_lsp.py
_base_ = [
    './_base_/models/mirrornet_small.py',
    './_base_/datasets/lsp_96.py',
    './_base_/schedules/mirrornet_short.py',
]

model = dict(head=dict(decoder=_base_.codec))
# bfloat16 and channels-last double the speed on a recent CPU.
optim_wrapper = dict(type='AutocastOptimWrapper')
channels_last = True
