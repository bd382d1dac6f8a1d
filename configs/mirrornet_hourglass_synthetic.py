# Two narrow hourglasses on the embedded world, minutes on two CPU cores.
_base_ = ['./mirrornet_small_synthetic.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='BottleneckHourglass',
        num_stacks=2,
        channels=64,
        depth=3),
    head=dict(
        _delete_=True,
        type='CPMHead',
        in_channels=64,
        out_channels=16,
        num_stages=2,
        deconv_out_channels=None,
        loss=dict(type='HeatmapNLLLoss', variance=0.01),
        decoder=_base_.codec))
