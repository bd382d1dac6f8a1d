"""Which node of well-known skeletons is which of the 28 joints.

Where several nodes make one joint, the joint is derived, not measured.
"""
from __future__ import annotations

from collections.abc import Mapping

_CMU: dict[str, str | Mapping[str, float]] = dict(
    spine3={'upperback': .5, 'thorax': .5}, spine4='thorax',
    spine2='upperback', spine='lowerback', pelvis='root', neck='lowerneck',
    head='upperneck', head_top='head')
_BANDAI: dict[str, str | Mapping[str, float]] = dict(
    spine3='Chest', spine4={'Chest': .5, 'Neck': .5},
    spine2={'Spine': .5, 'Chest': .5}, spine='Spine', pelvis='Hips',
    neck='Neck', head='Head', head_top='Head_end')
for _side in ('left', 'right'):
    _s, _S = _side[0], _side[0].upper()
    _CMU |= {
        f'{_side}_clavicle': {'thorax': .75, f'{_s}clavicle': .25},
        f'{_side}_shoulder': f'{_s}clavicle',
        f'{_side}_elbow': f'{_s}humerus', f'{_side}_wrist': f'{_s}wrist',
        f'{_side}_hand': f'{_s}hand', f'{_side}_hip': f'{_s}hipjoint',
        f'{_side}_knee': f'{_s}femur', f'{_side}_ankle': f'{_s}tibia',
        f'{_side}_foot': f'{_s}foot', f'{_side}_toe': f'{_s}toes'}
    _BANDAI |= {
        f'{_side}_clavicle': f'Shoulder_{_S}',
        f'{_side}_shoulder': f'UpperArm_{_S}',
        f'{_side}_elbow': f'LowerArm_{_S}', f'{_side}_wrist': f'Hand_{_S}',
        f'{_side}_hand': f'Hand_{_S}_end', f'{_side}_hip': f'UpperLeg_{_S}',
        f'{_side}_knee': f'LowerLeg_{_S}', f'{_side}_ankle': f'Foot_{_S}',
        f'{_side}_foot': f'Toes_{_S}', f'{_side}_toe': f'Toes_{_S}_end'}

#: Joint maps by name. CMU: ASF files of mocap.cs.cmu.edu, nodes are the ends
#: of bones. Bandai-Namco: BVH files of its research motion data set; in most
#: of them End Sites have no length, so that head top, hands and toes lie on
#: the joint before: leave those out, or use the prepared archive.
JOINT_MAPS: dict[str, Mapping[str, str | Mapping[str, float]]] = {
    'cmu_asf': _CMU, 'bandai_bvh': _BANDAI}
