"""Live monitors of KeypointGAN's training: what goes wrong, and advice."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from mmengine.logging import print_log
from mmpose.registry import HOOKS
from torch import Tensor

from ..models.adversarial import unwrap
from ..models.keypointgan import KeypointGAN
from ..models.keypointgan.health import look
from ..utils.random_state import preserved
from .adversarial_monitor import mean_pairwise_distance
from .thresholds import Limit
from .watching_hook import WatchingHook

__all__ = ['KeypointObservatory']

#: Of a training batch.
_READ = ('inputs', 'poses', 'pose_present', 'data_samples')

_SWAP = Limit(
    'mon_swap_ratio', "Error with another subject's appearance / with the "
    'own', 'below', 1.1,
    'the decoder makes the same image whoever the appearance frame shows: '
    'either it does not reconstruct yet (see mon_generator_error_image), or '
    'what people look like reaches it through the skeleton',
    'Set model.bottleneck=True, so that it reads keypoints alone; with the '
    'bottleneck, train longer or raise model.reconstruction_weight. Where '
    'all subjects look alike the ratio is near 1 without a fault.')
_LOG = Limit(
    'mon_log_structure', 'Log of the skeleton image: share of the variance '
    'beside the drawn limbs', 'above', .5,
    'the skeleton images are no drawings: they hold structure where the '
    'drawn keypoints leave them blank',
    'Without the bottleneck the decoder reads it, so set '
    'model.bottleneck=True; with it, raise model.adversarial_weight, or set '
    'model.render_weight=1.')
_SPREAD = Limit(
    'mon_spread_ratio', "Spread of predicted poses / of the prior's",
    'below', .3,
    'modes collapse: different images get nearly the same pose',
    'Lower model.adversarial_weight against model.reconstruction_weight, or '
    'optim_wrapper.discriminator.optimizer.lr; look whether the regressor '
    'stage has converged.')
_SIDES = Limit(
    'mon_sides_exchanged', 'Share of images on which the offline regressor '
    'exchanges sides', 'above', .25,
    'left and right are not settled: the regressor names the sides of '
    'skeleton images otherwise than its offline copy those of their drawings',
    'Where people face every way, one channel cannot tell: set '
    'model.head.either_side=True, train from the regressor stage on, and '
    'read the oracle figures. Else read the corrected ones; raise '
    'model.real_weight, or train the regressor stage longer.')
_PERFECT = Limit(
    'mon_discriminator_gap', 'Score of D for drawings minus for skeleton '
    'images', 'above', .9,
    'the discriminator is saturated: it tells every skeleton image from a '
    'drawing (1 against 0)',
    'See mon_discriminator_slope for what the generator still gets of it. '
    'Lower optim_wrapper.discriminator.optimizer.lr, narrow '
    'model.discriminator.width, or look for what differs at a glance: '
    'renderer.sigma, poses that are cropped otherwise than the images.')
_USELESS = Limit(
    'mon_discriminator_gap', _PERFECT.title, 'below', .05,
    'the discriminator is useless: it gives drawings and skeleton images '
    'the same score',
    'Raise optim_wrapper.discriminator.optimizer.lr or '
    'model.discriminator.width; where skeleton images are as good as '
    'drawings by the eye, this is success.')
_FLAT = Limit(
    'mon_discriminator_slope', 'Slope of D at the skeleton images / on the '
    'way to drawings', 'below', .1,
    'the discriminator is flat where the generator stands: the generator '
    'gets no gradient from it',
    'Lower optim_wrapper.discriminator.optimizer.lr and start again from '
    'an earlier checkpoint.')


@HOOKS.register_module()
class KeypointObservatory(WatchingHook):
    """Looks every so often at a few samples of the batch.

    Logged beside the losses:

    - ``mon_swap_ratio``: error of the reconstruction with another subject's
      appearance frame over that with the own. 1 where the decoder ignores
      the frame. Not without a frame (``generator.conditional=False``).
    - ``mon_log_structure``: structure in the logarithm of the skeleton
      image beside the drawn limbs; 0 for a drawing
      (:func:`mirrorpose.models.keypointgan.health.log_structure`).
    - ``mon_spread_ratio``: of predicted poses to the prior's. Taken from
      ``AdversarialMonitor`` where it has looked in the same iteration.
    - ``mon_sides_exchanged``: share of images on which the offline
      regressor would exchange left and right.
    - ``mon_discriminator_gap``, ``mon_discriminator_slope``: how far D
      tells drawings from skeleton images (1: perfectly, 0: not at all), and
      whether it is flat where the generator stands
      (:func:`mirrorpose.models.keypointgan.health.judgement`).

    Warnings name what is wrong and what to change; training goes on. The
    networks look in eval mode, nothing is drawn at random, and each process
    looks at its own samples without talking to others, so a training with
    this hook has the same weights as one without. Stages that train another
    model (the regressor's) are passed over.

    Thresholds; None switches a warning off:

    Args:
        interval (int): Look every so many iterations. Defaults to 50.
        samples (int): Of the batch; the spread takes all. Defaults to 8.
        begin (int): No warning is given of what was seen before this
            iteration, when nothing is learnt yet. Defaults to 1000.
        window (int): Looks whose mean is judged: 5 looks at 8 samples tell
            a share of 0.25 from 0.1 at two standard deviations. Defaults to
            5.
        repeat (int): The same warning comes once in so many iterations at
            most. Defaults to 1000.
        swap_ratio (float, optional): Least ``mon_swap_ratio``. Defaults to
            1.1: a tenth of the error is all that the appearance is worth.
        log_structure (float, optional): Greatest ``mon_log_structure``.
            Defaults to 0.5: more goes on beside the limbs than in them.
        spread_ratio (float, optional): Least ``mon_spread_ratio``. Images
            of few actions rightly have less than the prior's. Defaults to
            0.3.
        sides_exchanged (float, optional): Greatest ``mon_sides_exchanged``.
            Defaults to 0.25: half-way to the toss of a coin.
        gap (tuple[float | None, float | None]): Least and greatest
            ``mon_discriminator_gap``, whose targets lie 1 apart. Defaults
            to (0.05, 0.9).
        slope (float, optional): Least ``mon_discriminator_slope``; on the
            way from skeleton images to drawings the mean is 1. Defaults to
            0.1.

    Raises:
        ValueError: An argument is out of range.
    """

    watched = KeypointGAN

    def __init__(self, interval: int = 50, samples: int = 8,
                 begin: int = 1000, window: int = 5, repeat: int = 1000,
                 swap_ratio: float | None = _SWAP.value,
                 log_structure: float | None = _LOG.value,
                 spread_ratio: float | None = _SPREAD.value,
                 sides_exchanged: float | None = _SIDES.value,
                 gap: tuple[float | None, float | None] = (
                     _USELESS.value, _PERFECT.value),
                 slope: float | None = _FLAT.value) -> None:
        if len(gap) != 2:
            raise ValueError(f'gap is (least, greatest), got {gap!r}')
        values = ((_SWAP, swap_ratio), (_LOG, log_structure),
                  (_SPREAD, spread_ratio), (_SIDES, sides_exchanged),
                  (_USELESS, gap[0]), (_PERFECT, gap[1]), (_FLAT, slope))
        super().__init__(
            [replace(limit, value=float(value))
             for limit, value in values if value is not None],
            interval, samples, begin, window, repeat)
        self._swaps, self._alone = True, False

    def before_train(self, runner: Any) -> None:
        """Finds out what there is to look at."""
        super().before_train(runner)
        if self._model is None:
            return
        generator: Any = unwrap(self._model.generator)
        self._swaps, self._alone = generator.conditional, False
        if not self._swaps:
            print_log('KeypointObservatory: the swap test is off, since '
                      'generator.conditional=False: there is no appearance '
                      'frame', logger='current')

    def look(self, data_batch: Any, outputs: Mapping[str, Any]
             ) -> dict[str, Tensor]:
        """What goes wrong, and the spread where nobody has told it."""
        found = self._health(data_batch)
        if 'mon_spread_ratio' not in outputs:
            found.update(self._spread())
        return found

    def _health(self, data_batch: Any) -> dict[str, Tensor]:
        if not isinstance(data_batch, Mapping) or not isinstance(
                data_batch.get('inputs'), Mapping):
            return {}
        few = {k: {n: v[:self.samples] for n, v in value.items()}
               if isinstance(value, Mapping) else value[:self.samples]
               for k, value in data_batch.items() if k in _READ}
        # No network draws in eval mode; this makes sure of it.
        with preserved(), torch.no_grad():
            data = self._model.data_preprocessor(few, True)
            found = look(
                self._model, data['inputs']['image'], data['poses'],
                data['pose_present'],
                data['inputs']['condition'] if self._swaps else None,
                self._subjects(data.get('data_samples')))
        if self._swaps and 'mon_swap_ratio' not in found and not self._alone:
            self._alone = True
            print_log('KeypointObservatory: the samples looked at show one '
                      'subject, so that there is nobody to swap with; '
                      'mon_swap_ratio is logged when there is',
                      logger='current')
        return found

    @staticmethod
    def _subjects(samples: Any) -> list[str] | None:
        """Who each sample shows: person, or clip; None where not told."""
        metas = [getattr(s, 'metainfo', {}) for s in samples or ()]
        names = [m.get('group', m.get('clip')) for m in metas]
        return [str(n) for n in names] if names and None not in names \
            else None

    def _spread(self) -> dict[str, Tensor]:
        """As ``AdversarialMonitor`` has it."""
        made, real = (self._model.cached(k) for k in ('generated', 'real'))
        if made is None or real is None:
            return {}
        return dict(mon_spread_ratio=mean_pairwise_distance(made)
                    / mean_pairwise_distance(real).clamp(min=1e-12))
