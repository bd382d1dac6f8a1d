"""The name of the bottleneck, and what to do about it."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from .loading import COLLATE, OTHER, WHOLE_BATCH
from .stepping import STEP_PARTS


class Verdict(NamedTuple):
    """What holds a run back.

    Attributes:
        bottleneck (str): ``'loader'`` or a part of the step.
        reason (str): The numbers that say so.
        advice (str): What to do.
    """

    bottleneck: str
    reason: str
    advice: str


def judge(facts: Mapping[str, Any]) -> Verdict:
    """Names the bottleneck.

    Args:
        facts (Mapping): ``loader`` and ``step`` (images/s of each alone),
            ``workers``, ``cores``, ``device``, ``pipeline`` (seconds a
            sample by part), ``parts`` (seconds of the step by part, may be
            empty), ``efficiency`` (share of the convolution rate),
            ``convolution`` (the run's precision and layout) and
            ``convolutions`` (rates in GFLOP/s by precision and layout),
            ``cached`` (whether crops are cached), ``training`` (images/s of
            both together).
    """
    found = _loader(facts) if facts['loader'] < facts['step'] else \
        _step(facts)
    slower = min(facts['loader'], facts['step'])
    if facts['training'] < 0.8 * slower:
        found = found._replace(
            reason=f'{found.reason}; together they reach '
            f'{facts["training"]:.0f}, since they share '
            + ('the cores' if facts['device'] == 'cpu' else
               'this process: batches are unpacked and pinned in it'))
    return found


def _loader(facts: Mapping[str, Any]) -> Verdict:
    pipeline: Mapping[str, float] = facts['pipeline']
    single = 1 / max(sum(pipeline.values()), 1e-12)
    slowest = max(pipeline, key=lambda k: pipeline[k])
    share = pipeline[slowest] / max(sum(pipeline.values()), 1e-12)
    reason = (f'the loader gives {facts["loader"]:.0f} images/s, the step '
              f'takes {facts["step"]:.0f}; {share:.0%} of a sample is '
              f'"{slowest}"')
    wanted = max(1, math.ceil(facts['step'] / single))
    spare = facts['cores'] - 1 if facts['device'] != 'cpu' else \
        max(facts['cores'] // 2, 1)
    advice = []
    if facts['workers'] < min(wanted, spare):
        advice.append(f'num_workers={min(wanted, spare)} (now '
                      f'{facts["workers"]}; one process gives {single:.0f} '
                      f'images/s, and there are {facts["cores"]} cores)')
    if not facts['cached'] and 'geometry' in pipeline and slowest in (
            'read and decode', 'geometry', 'targets', 'colour', OTHER):
        advice.append('CachedCropDataset and CropPreprocessor: crops are '
                      'decoded once, and whole batches are made')
    elif slowest == COLLATE:
        advice.append('smaller samples: pack fewer keys, or draw targets on '
                      'the device (CropPreprocessor)')
    elif slowest == WHOLE_BATCH:
        advice.append("warp='device' in CachedCropDataset, where there is a "
                      'device for it')
    elif slowest not in (OTHER, ) and not advice:
        advice.append(f'a quicker "{slowest}": it is a transform of your own')
    return Verdict('loader', reason, '; or '.join(advice)
                   or 'more cores for the data')


def _step(facts: Mapping[str, Any]) -> Verdict:
    parts: Mapping[str, float] = facts['parts']
    reason = (f'the step takes {facts["step"]:.0f} images/s, the loader '
              f'gives {facts["loader"]:.0f}')
    if not parts:
        return Verdict('step', reason + ' (a step of its own, not split)',
                       '--trace FILE shows what it waits for')
    whole = sum(parts.values())
    first, forward, backward, last = (parts[k] for k in STEP_PARTS)
    if first > 0.25 * whole:
        return Verdict(
            STEP_PARTS[0], f'{reason}; {first / whole:.0%} of it is transfer '
            'and preparation', 'let uint8 cross and prepare on the device '
            '(CropPreprocessor), pin_memory=True in the loader')
    if last > 0.25 * whole:
        return Verdict(
            STEP_PARTS[3], f'{reason}; {last / whole:.0%} of it is the '
            'optimizer', 'a larger batch, accumulative_counts in '
            'optim_wrapper, or foreach=True (fused=True) in the optimizer')
    efficiency = facts.get('efficiency')
    share = (forward + backward) / whole
    reason += f'; {share:.0%} of it is forward and backward'
    if efficiency is not None:
        reason += (f', at {efficiency:.0%} of the convolution rate of this '
                   'device')
    return Verdict('forward and backward', reason,
                   _compute_advice(facts, efficiency))


def _compute_advice(facts: Mapping[str, Any],
                    efficiency: float | None) -> str:
    """A better precision or layout, or what else there is."""
    rates: Mapping[str, float] = facts['convolutions']
    mine = rates[facts['convolution']]
    best = max(rates, key=lambda k: rates[k])
    advice = []
    if rates[best] > 1.2 * mine:
        switch = []
        if 'bfloat16' in best and 'bfloat16' not in facts['convolution']:
            switch.append("optim_wrapper.type='AutocastOptimWrapper'")
        if 'channels_last' in best and 'channels_last' not in \
                facts['convolution']:
            switch.append('channels_last=True')
        if switch:
            advice.append(f'{" and ".join(switch)}: convolutions in {best} '
                          f'are {rates[best] / mine:.1f} times as fast here')
    if efficiency is not None and efficiency < 0.4:
        advice.append('many small operations: a larger batch, '
                      'torch.compile (compile=True), and --trace FILE to see '
                      'them')
    return '; or '.join(advice) or (
        'the convolutions themselves: a smaller backbone or input, or a '
        'faster device')
