# A ResNet-18 of half the width, for images of 96 pixels and two CPU cores.
_base_ = ['./metric_pose.py']

model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=18, base_channels=32,
                  stem_channels=32),
    head=dict(in_channels=256, pose=dict(hidden=256),
              loss=dict(form='infonce', warm_up=160)))
