# A narrow ResNet-50 on the embedded world, minutes on two CPU cores.
_base_ = ['./mirrornet_small_synthetic.py']

model = dict(
    backbone=dict(depth=50, base_channels=16, stem_channels=16),
    head=dict(in_channels=512))
