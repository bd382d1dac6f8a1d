# Ridge for joints that are hidden for a while, JUMPS around ridge for those
# that are hidden throughout, the regressor for those that no detector sees:
# each what it is better at (docs/jumps.md). Nothing is trained here:
#   python tools/train.py configs/ridge_mocap.py        # 15 s
#   python tools/train.py configs/regressor_mocap.py    # minutes
#   python tools/train.py configs/jumps_mocap.py        # hours, or without
#   complete(keypoints, completer='configs/cascade_mocap.py')
# With these trainings in the current folder it is what complete() takes.
_base_ = ['./_base_/models/jumps.py', './_base_/default_runtime.py']

# The last good checkpoint of each work dir.
ridge = 'work_dirs/ridge_mocap'
model = dict(
    _delete_=True,
    type='CascadeCompleter',
    first=dict(type='RidgeCompleter'), first_checkpoint=ridge,
    second=dict(type='RegressorCompleter'),
    second_checkpoint='work_dirs/regressor_mocap',
    never=dict(type='JumpsCompleter', model=_base_.model,
               first=dict(type='RidgeCompleter'), first_checkpoint=ridge),
    never_checkpoint='work_dirs/jumps_mocap', never_optional=True)
