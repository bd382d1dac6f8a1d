"""Joint sets of other people's files."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

from mirrorpose.structures.skeleton import SKELETONS, Skeleton


def nothing_shared(source: Skeleton, target: Skeleton) -> str:
    """Says that no joint of one set gives one of another, and what to do."""
    few, other = (', '.join(s.joints[:3]) + ', ...' * (len(s) > 3)
                  for s in (source, target))
    return (f'none of its {len(source)} joints ({few}) gives one of the '
            f'{len(target)} of {target.name!r} ({other}); set joints= to the '
            'joint set that is meant, or take other data')


def named_skeleton(
        joints: str | Skeleton | Sequence[str] | Mapping[str, str],
        names: Sequence[str] | None = None) -> Skeleton:
    """Makes a joint set from names.

    A misspelt name would lose a joint in silence, so every name must be one
    that some joint set of mirrorpose knows, or be declared.

    Args:
        joints (str | Skeleton | Sequence[str] | Mapping[str, str]): The name
            of a joint set; or joint names in channel order; or a mapping
            from a file's own names to known ones, in channel order, where
            ``''`` marks a joint that has no counterpart.
        names (Sequence[str], optional): The file's own names, in channel
            order. ``joints`` then need only map those that are not known.

    Returns:
        Skeleton: Mirror pairs are found by the prefixes ``left_`` and
        ``right_``.

    Raises:
        ValueError: A name is unknown, or a mapping names a joint that the
            file does not have.
    """
    if isinstance(joints, Skeleton):
        return joints
    if isinstance(joints, str):
        return Skeleton.from_name(joints)
    mapping = dict(joints) if isinstance(joints, Mapping) else {}
    if names is None:
        names = list(joints)
    extra = [n for n in mapping if n not in names]
    if extra:
        raise ValueError(f'joints maps {extra}, but the file names '
                         f'{list(names)}')
    known: dict[str, str] = {}
    for skeleton in SKELETONS.values():
        for joint in skeleton.joints:  # the first set to name one decides
            known.setdefault(joint, skeleton.landmark(joint))
    own, landmarks, unknown = [], {}, []
    for i, name in enumerate(names):
        meant = mapping.get(name, name)
        if meant and meant not in known:
            unknown.append(name)
            continue
        # A joint without counterpart gets a name that nothing converts.
        own.append(meant or f'unused_{i}')
        if meant and known[meant] != meant:
            landmarks[meant] = known[meant]
    if unknown:
        raise ValueError(
            f'unknown joint names {unknown}; known are {sorted(known)}. Map '
            "your own names with joints=dict(your_name='known_name'), and '' "
            'for a joint that has no counterpart')
    pairs = tuple((j, 'right' + j[4:]) for j in own
                  if j.startswith('left_') and 'right' + j[4:] in own)
    return Skeleton('custom', tuple(own), (), pairs, landmarks)
