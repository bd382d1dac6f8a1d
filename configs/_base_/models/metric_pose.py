# Metric pose in the size of the paper's "much smaller network": ResNet-18.
# The architecture and all weights are a reconstruction (docs/metric_pose.md).
model = dict(
    type='MetricPoseRegressor',
    data_preprocessor=dict(
        type='ViewPreprocessor', mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        type='ResNet', depth=18,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')),
    head=dict(
        type='MetricPoseHead', in_channels=512, embedding_dim=128,
        pose=dict(hidden=1024, layers=1),
        # The hardest negatives of an untrained network collapse it: random
        # ones for the first epoch.
        loss=dict(type='HardNetLoss', margin=1., near_seconds=1.,
                  warm_up=1000, loss_weight=1.)),
    # num_subjects: those of the training data.
    adversary=dict(type='IdentityAdversary', num_subjects=8, hidden=256,
                   loss_weight=0.1))
