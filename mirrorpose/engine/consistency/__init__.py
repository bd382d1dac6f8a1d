"""The parts of a config against each other, before anything is trained.

Data sets, codecs, head, priors, metrics and preprocessor each say which
joints, which sizes and which widths they reckon with; mmpose compares none of
it, and most differences train without an error to a model that is worth
nothing. No data are read.
"""
from __future__ import annotations

from collections.abc import Mapping

from mmengine.logging import print_log
from mmengine.registry import DefaultScope, init_default_scope

from .codecs import check_codecs
from .joints import check_joints
from .metrics import check_inputs, check_metrics
from .report import Inconsistency, format_findings, side_by_side

__all__ = ['Inconsistency', 'check_consistency', 'find_inconsistencies',
           'format_findings', 'side_by_side']

POLICIES = ('error', 'warn', 'off')


def find_inconsistencies(cfg: Mapping) -> list[Inconsistency]:
    """All that does not fit together in the config of one run.

    Reads metainfo, and runs backbone, neck, head and pose VAE once on the
    meta device (no numbers, no memory, random states untouched). What
    cannot be told without data or without an optional package is left out,
    so a config without findings may still be wrong.

    Args:
        cfg (Mapping): A complete config; of a curriculum, that of a stage
            (``CurriculumRunner.stage_config``) or the top level.

    Returns:
        list[Inconsistency]: Fatal ones first.
    """
    if DefaultScope.get_current_instance() is None:
        init_default_scope(cfg.get('default_scope') or 'mmpose')
    found: list[Inconsistency] = []
    for check in (check_joints, check_codecs, check_metrics, check_inputs):
        for finding in check(cfg):
            if finding not in found:
                found.append(finding)
    return sorted(found, key=lambda f: not f.fatal)


def check_consistency(cfg: Mapping,
                      policy: str | None = None) -> list[Inconsistency]:
    """Refuses a config whose parts do not fit together.

    Args:
        cfg (Mapping): As for :func:`find_inconsistencies`. Its optional
            ``consistency`` is the default of ``policy``.
        policy (str, optional): ``'error'``, ``'warn'`` (say it and go on)
            or ``'off'``. Defaults to the config's, then ``'error'``.

    Returns:
        list[Inconsistency]: What is doubtful but possible; it is logged.

    Raises:
        ValueError: Something is fatal, all of it listed with its place and
            how to mend it; or an unknown policy.
    """
    policy = policy or cfg.get('consistency') or 'error'
    if policy not in POLICIES:
        raise ValueError(f'consistency must be one of {POLICIES}, got '
                         f'{policy!r}')
    if policy == 'off':
        return []
    found = find_inconsistencies(cfg)
    fatal = [f for f in found if f.fatal]
    if fatal and policy == 'error':
        raise ValueError(
            f'the config does not fit together ({len(fatal)} '
            f'{"difference" if len(fatal) == 1 else "differences"}):\n'
            f'{format_findings(fatal)}\n'
            "(consistency = 'warn' in the config turns this into a warning)")
    if found:
        print_log('the config has doubtful parts:\n' + format_findings(found),
                  logger='current', level=30)
    return found
