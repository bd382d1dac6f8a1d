# Eight stacks of bottleneck residuals, 25.59 M with its heads. mmpose's
# HourglassNet is made of basic blocks and is five times as large.
_base_ = ['./mirrornet.py']

model = dict(
    backbone=dict(type='BottleneckHourglass', num_stacks=8, channels=256),
    head=dict(
        type='CPMHead',
        in_channels=256,
        out_channels=16,
        num_stages=8,
        deconv_out_channels=None,
        loss=dict(type='HeatmapNLLLoss', variance=0.01)))
