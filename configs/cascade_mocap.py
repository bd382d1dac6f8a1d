# Ridge for joints that are hidden for a while, the regressor for those that
# are never seen: each what it is better at (docs/jumps.md). Nothing is
# trained here:
#   python tools/train.py configs/ridge_mocap.py        # 15 s
#   python tools/train.py configs/regressor_mocap.py    # minutes
#   complete(keypoints, completer='configs/cascade_mocap.py')
_base_ = ['./_base_/default_runtime.py']

model = dict(
    type='CascadeCompleter',
    first=dict(type='RidgeCompleter'),
    first_checkpoint='work_dirs/ridge_mocap/epoch_1.pth',
    second=dict(type='RegressorCompleter'),
    second_checkpoint='work_dirs/regressor_mocap/epoch_60.pth')
