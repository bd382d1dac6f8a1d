# SimpleBaseline ResNet-50, 34.00 M with its head.
_base_ = ['./mirrornet.py']

model = dict(
    backbone=dict(type='ResNet', depth=50),
    head=dict(
        type='HeatmapHead',
        in_channels=2048,
        out_channels=16,
        loss=dict(type='HeatmapNLLLoss', variance=0.01)))
