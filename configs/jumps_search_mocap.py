# The search of JUMPS, as it works best on real motion, over what
# configs/jumps_mocap.py trained. Nothing is trained here:
#   python tools/complete_poses.py IN OUT \
#       --completer configs/jumps_search_mocap.py
_base_ = ['./_base_/models/jumps.py', './_base_/default_runtime.py']

model = dict(
    _delete_=True,
    type='JumpsCompleter', model=_base_.model,
    checkpoint='work_dirs/jumps_mocap',  # its last good checkpoint
    # The encoder's start alone, few steps, no critic, observed joints kept.
    use_encoder=True, restarts=0, keep=True,
    search=dict(steps=50, rate=.1, critic_weight=0.))

# Several starts, of which the best is kept, and a spread of each joint:
#   model.update(restarts=7, temperature=.3)
# Around ridge's answer, for limbs that are hidden throughout:
#   model.update(first=dict(type='RidgeCompleter'),
#                first_checkpoint='work_dirs/ridge_mocap')
# ... and held to it, for detectors' noise:
#   model.update(first_weight=.5)
