# A narrow HRNet on the embedded world, minutes on two CPU cores.
_base_ = ['./mirrornet_small_synthetic.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='HRNet',
        in_channels=3,
        extra=dict(
            stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK',
                        num_blocks=(1, ), num_channels=(16, )),
            stage2=dict(num_modules=1, num_branches=2, block='BASIC',
                        num_blocks=(2, 2), num_channels=(16, 32)),
            stage3=dict(num_modules=1, num_branches=3, block='BASIC',
                        num_blocks=(2, 2, 2), num_channels=(16, 32, 64)),
            stage4=dict(num_modules=1, num_branches=4, block='BASIC',
                        num_blocks=(2, 2, 2, 2),
                        num_channels=(16, 32, 64, 128)))),
    head=dict(
        _delete_=True,
        type='HeatmapHead',
        in_channels=16,
        out_channels=16,
        deconv_out_channels=None,
        loss=dict(type='HeatmapNLLLoss', variance=0.01),
        decoder=_base_.codec))
