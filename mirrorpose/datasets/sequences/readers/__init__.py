"""Motion capture files: BVH, and Acclaim's ASF with AMC."""
from __future__ import annotations

from pathlib import Path

from .acclaim import AcclaimSkeleton, read_amc, read_asf
from .bvh import read_bvh
from .maps import JOINT_MAPS
from .motion import RecordedMotion

__all__ = ['JOINT_MAPS', 'AcclaimSkeleton', 'RecordedMotion', 'read_amc',
           'read_asf', 'read_bvh', 'read_motion']


def read_motion(path: str | Path, asf: str | None = None,
                fps: float | None = None) -> RecordedMotion:
    """Reads a file by its suffix.

    Args:
        path (str | Path): ``*.bvh`` or ``*.amc``.
        asf (str, optional): Skeleton of an AMC file, relative to its
            folder; by default the only ``*.asf`` there.
        fps (float, optional): Rate of an AMC file.

    Raises:
        ValueError: An unknown suffix, a rate that is missing or not asked
            for, no or several skeletons, or a file that is not readable.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == '.bvh':
        if fps is not None:
            raise ValueError(f'{path}: a BVH file says its own rate; leave '
                             'fps out')
        return read_bvh(path)
    if suffix != '.amc':
        raise ValueError(f'{path}: unknown kind of motion file '
                         f'{suffix!r}; known are .bvh and .amc')
    if fps is None:
        raise ValueError(f'{path}: an AMC file does not say its rate; pass '
                         'fps (CMU: 120)')
    if asf is not None:
        skeletons = [path.parent / asf]
    else:
        skeletons = sorted(path.parent.glob('*.asf'))
    if len(skeletons) != 1 or not skeletons[0].is_file():
        raise ValueError(f'{path}: needs one skeleton (*.asf) beside it, '
                         f'found {[s.name for s in skeletons]}; pass asf')
    return read_amc(path, read_asf(skeletons[0]), fps)
