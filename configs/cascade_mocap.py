# What is best for every kind of hole (docs): ridge for what the detector
# missed, the regressor for what it never sees. Nothing is trained here:
#   complete(keypoints, completer='configs/cascade_mocap.py')
_base_ = ['./_base_/default_runtime.py']

model = dict(
    type='CascadeCompleter',
    first=dict(type='RidgeCompleter'),
    first_checkpoint='work_dirs/ridge_mocap/epoch_1.pth',
    second=dict(type='RegressorCompleter'),
    second_checkpoint='work_dirs/regressor_mocap/epoch_60.pth')
