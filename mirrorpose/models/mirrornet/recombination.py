"""Recombination: training images whose pose is known, from other images.

MirrorNet takes an image apart into a person, who has a pose and an
appearance, and a scene. Put together otherwise, the parts of a few images
make many, and their poses are known: the annotated person, as warped as
before, stands in front of another image's scene, in another's colours,
among others. This use of the decomposition is ours and not the paper's;
``docs/mirrornet.md`` has the numbers of both.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from mmpose.registry import MODELS
from torch import Tensor, nn

from .appearance import appearance_shift, colour_statistics, jitter_colours
from .compositing import hidden_joints, image_size, warp
from .person_mattes import PersonMattes
from .recombination_draws import Affine, Draws, StepKeys, on, partners
from .recombination_labels import (
    People,
    read_people,
    reduce_silhouettes,
    select_samples,
    write_covered,
)
from .scene_filling import hide

SCENES = ('all', 'annotated', 'unannotated')
COVERED = ('keep', 'drop')
RECOMBINED = ('annotated', 'all')
_SCENE, _APPEARANCE, _BEHIND, _FRONT = range(4)
#: Pixels that are made at once on a CPU.
_CHUNK = 2**17


@MODELS.register_module()
class Recombination(nn.Module):
    """Puts annotated people into other scenes; one of ``batch_augments``.

    In any mmpose config with a top-down model::

        data_preprocessor=dict(
            type='PoseDataPreprocessor', mean=MEAN, std=STD, ...,
            batch_augments=[dict(type='Recombination', skeleton='coco_17',
                                 mean=MEAN, std=STD)])

    or, shorter, :class:`RecombinationPreprocessor`. A person keeps its own
    warp, so labels of whatever kind stay as they are. Everything is done for
    the whole batch on its device; partners are other samples of the batch.

    Args:
        skeleton (str | Sequence[str] | Mapping): Joint set of the labels:
            its name, or the names of its joints.
        mean, std (Sequence[float], optional): By which inputs were
            normalised. Defaults to None: inputs lie in [0, 255].
        scene_prob (float): Share of annotated images that get another scene.
            Defaults to 0.8.
        appearance_prob (float): Share whose colours are shifted towards
            another person's. Defaults to 0.5.
        appearance_weight (tuple[float, float]): How far: uniform. Defaults
            to (0.3, 1).
        behind_prob (float): Share with another annotated person behind.
            Defaults to 0.
        front_prob (float): Share with another annotated person in front.
            Defaults to 0.
        max_covered (float): No occluder in front that would hide a larger
            share of the joints. Defaults to 0.4.
        covered_joints (str): ``'keep'``: hidden joints count, as annotated
            ones do in most data sets; ``'drop'``: their weight is 0 and
            their map blank. Defaults to ``'keep'``.
        jitter (Mapping[str, float], optional): Reach of ``brightness``,
            ``contrast`` and ``saturation`` (each a factor in 1 +- reach) for
            all annotated images, at the end. Defaults to 0.2 each.
        mattes (str): Which pixels are the person: ``'silhouette'``,
            ``'capsules'`` around the annotated limbs, ``'estimator'`` (see
            there), or ``'auto'``: the silhouette where there is one (and
            the metainfo ``silhouette_good`` does not deny it), capsules
            elsewhere. Defaults to ``'auto'``.
        capsule_width (float): Factor on the capsules' radii. Defaults to 1.
        scenes (str): Whose scenes are used: ``'all'``, ``'annotated'`` or
            ``'unannotated'``. Defaults to ``'all'``.
        estimator (str | dict, optional): Who cuts people out of un-annotated
            images: ``'model'``, the recognizer in training itself and its
            mask estimator if it has one (our models only; may be poor at
            first); or ``dict(config=..., checkpoint=...)`` of a trained
            model, mmpose's or ours. To show no person twice to a
            semi-supervised model, it must have been trained on annotated
            images only. Defaults to None: un-annotated images lend no scene.
        recombined (str): Which people are put elsewhere: ``'annotated'`` or
            ``'all'``, others as far as they are cut out (for a model that
            learns from its own poses of them). Defaults to
            ``'annotated'``.
        keep_unannotated (bool): Pass un-annotated images on to the model.
            False saves their cost where it cannot use them. Defaults to
            True.
        scene_affine, occluder_affine (Mapping, optional): ``rotate``,
            ``scale``, ``shift``, ``flip`` of :class:`Affine`.
        hole_dilation (float): By how much the hole reaches beyond the
            person, over the image's longer side. Defaults to 1/32, 5 x 5
            pixels in an image of 64.
        min_joints (int): People with fewer annotated joints and no
            silhouette stay where they are. Defaults to 6.
        fill_borders (bool): What is black in a lent scene, since its crop
            reaches beyond its picture, is filled from around it. Defaults to
            False: test images have such borders, too.

    Raises:
        ValueError, TypeError: An option that does not exist or does not fit.
    """

    def __init__(self,
                 skeleton: str | Sequence[str] | Mapping[str, str],
                 mean: Sequence[float] | None = None,
                 std: Sequence[float] | None = None,
                 scene_prob: float = .8,
                 appearance_prob: float = .5,
                 appearance_weight: tuple[float, float] = (.3, 1.),
                 behind_prob: float = 0.,
                 front_prob: float = 0.,
                 max_covered: float = .4,
                 covered_joints: str = 'keep',
                 jitter: Mapping[str, float] | None = None,
                 mattes: str = 'auto',
                 capsule_width: float = 1.,
                 scenes: str = 'all',
                 estimator: str | dict | None = None,
                 recombined: str = 'annotated',
                 keep_unannotated: bool = True,
                 scene_affine: Mapping[str, Any] | None = None,
                 occluder_affine: Mapping[str, Any] | None = None,
                 hole_dilation: float = 1 / 32,
                 min_joints: int = 6,
                 fill_borders: bool = False) -> None:
        super().__init__()
        for name, value, known in (('scenes', scenes, SCENES),
                                   ('recombined', recombined, RECOMBINED),
                                   ('covered_joints', covered_joints,
                                    COVERED)):
            if value not in known:
                raise ValueError(f'{name} is one of {known}, got {value!r}')
        for name, share in (('scene_prob', scene_prob),
                            ('appearance_prob', appearance_prob),
                            ('behind_prob', behind_prob),
                            ('front_prob', front_prob),
                            ('max_covered', max_covered),
                            ('hole_dilation', hole_dilation)):
            if not 0 <= share <= 1:
                raise ValueError(f'{name} must lie in [0, 1], got {share}')
        if (mean is None) != (std is None):
            raise ValueError('mean and std belong together; only one of them '
                             'is given')
        reach = dict(brightness=.2, contrast=.2, saturation=.2)
        if jitter is not None:
            reach = dict(dict.fromkeys(reach, 0.), **jitter)
        if len(reach) > 3 or any(not 0 <= r <= 1 for r in reach.values()):
            raise ValueError('jitter has brightness, contrast and saturation '
                             f'in [0, 1], got {dict(jitter or {})}')
        self.person_mattes = PersonMattes(skeleton, mattes, capsule_width,
                                          estimator, min_joints)
        self.skeleton = self.person_mattes.capsules.skeleton
        self.probabilities = np.array([scene_prob, appearance_prob,
                                       behind_prob, front_prob])
        self.appearance_weight = appearance_weight
        self.max_covered, self.covered_joints = max_covered, covered_joints
        self.jitter = np.array(list(reach.values()))
        self.scenes, self.recombined = scenes, recombined
        self.keep_unannotated = keep_unannotated
        self.scene_affine = Affine(**dict(scene_affine or {}))
        self.occluder_affine = Affine(**dict(
            dict(rotate=20., scale=(.7, 1.2), shift=1.),
            **dict(occluder_affine or {})))
        self.hole_dilation, self.fill_borders = hole_dilation, fill_borders
        for name, values in (('mean', mean or (0., )), ('std', std or (1., ))):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1)
                                 / 255, persistent=False)
        self._keys = StepKeys()
        self._warned = False

    mean: Tensor
    std: Tensor

    def extra_repr(self) -> str:
        """Joint set and probabilities."""
        scene, appearance, behind, front = self.probabilities.tolist()
        return (f'skeleton={self.skeleton.name!r}, '
                f'scene_prob={scene}, appearance_prob={appearance}, '
                f'behind_prob={behind}, front_prob={front}, '
                f'mattes={self.person_mattes.mattes!r}')

    def use_model(self, model: nn.Module) -> None:
        """Names the model in training, for ``estimator='model'``."""
        self.person_mattes.use_model(model)

    def fill_scenes(self, images: Tensor, mattes: Tensor) -> Tensor:
        """Images (N, 3, H, W) without their person."""
        reach = round(self.hole_dilation * max(image_size(images)))
        return hide(images, mattes, 2 * reach + 1,
                    fill_black=self.fill_borders)

    @torch.no_grad()
    def forward(self, inputs: Tensor,
                samples: Any) -> tuple[Tensor, Any]:
        """Recombines a batch.

        Args:
            inputs (Tensor): (N, 3, H, W) normalised images.
            samples (list[PoseDataSample] | CropSamples): Their labels.

        Returns:
            tuple: Inputs and samples of the same kind; un-annotated ones are
            left out without ``keep_unannotated``.
        """
        people = read_people(samples, image_size(inputs), inputs.device)
        if people.keypoints.shape[1] != len(self.skeleton):
            raise ValueError(
                f'the samples have {people.keypoints.shape[1]} joints, and '
                f'skeleton={self.skeleton.name!r} has '
                f'{len(self.skeleton)}')
        draws = Draws(self._keys(len(inputs)))
        mattes, found = self.person_mattes(inputs, people)
        if not found[~people.labelled].all():
            self._warn()
        with torch.autocast(inputs.device.type, enabled=False):
            parts = self._take_apart(inputs.float(), mattes, found, people,
                                     draws)
            out, covered, cover = self._put_together(parts)
        if (parts.chosen[_FRONT] >= 0).any():
            write_covered(samples, covered, cover,
                          self.covered_joints == 'drop')
        reduce_silhouettes(samples)
        out = out.to(inputs)
        if not self.keep_unannotated and not people.labelled.all():
            rows = np.nonzero(people.labelled)[0]
            return out[on(out.device, rows)], select_samples(samples, rows)
        return out, samples

    def _warn(self) -> None:
        if not self._warned and self.scenes != 'annotated':
            self._warned = True
            print_log('Recombination: un-annotated images lend no scenes, '
                      'since nobody cuts their people out; see `estimator`',
                      logger='current')

    def _choose(self, draws: Draws, found: np.ndarray,
                labelled: np.ndarray) -> np.ndarray:
        """Partners (4, N) for scene, appearance, behind, front; -1 none."""
        moved = found & (labelled | (self.recombined == 'all'))
        people = np.nonzero(moved)[0]
        pools = [np.nonzero(found & {'all': True, 'annotated': labelled,
                                     'unannotated': ~labelled}[self.scenes]
                            )[0], people, people, people]
        out = np.stack([partners(draws.partners[:, i], pool)
                        for i, pool in enumerate(pools)])
        shut = self.probabilities[:, None] <= draws.gates.T
        out[shut | ~moved] = -1
        return out

    def _take_apart(self, inputs: Tensor, mattes: Tensor, found: np.ndarray,
                    people: People, draws: Draws) -> _Parts:
        """What all chunks of a batch need."""
        device = inputs.device
        chosen = self._choose(draws, found, people.labelled)
        # A matte that turned out empty keeps its image, and lends nothing.
        filled = mattes.flatten(1).amax(1) > .5
        gain = inputs.new_ones(len(inputs), 3, 1, 1)
        offset = torch.zeros_like(gain)
        rows = np.nonzero(chosen[_APPEARANCE] >= 0)[0]
        if len(rows):
            index, other = on(device, rows), on(device,
                                                chosen[_APPEARANCE][rows])
            n = max(2, max(image_size(inputs)) // 32)  # fewer pixels will do
            mean, spread = colour_statistics(
                self._unit(inputs[..., ::n, ::n]), mattes[..., ::n, ::n])
            low, high = self.appearance_weight
            weight = on(device, low + (high - low) * draws.colours[rows, 0])
            shift = appearance_shift(
                (mean[index], spread[index]), (mean[other], spread[other]),
                weight * (filled[index] & filled[other]))
            gain = gain.index_copy(0, index, shift[0])
            offset = offset.index_copy(0, index, shift[1])
        return _Parts(inputs, mattes, filled, gain, offset, people, chosen,
                      draws)

    def _unit(self, inputs: Tensor) -> Tensor:
        """Pixels in [0, 1]."""
        return torch.addcmul(self.mean, inputs, self.std)

    def _put_together(self, parts: _Parts) -> tuple[Tensor, Tensor, Tensor]:
        """Recombined inputs, hidden joints (N, K), and what hides them.

        A batch of large images is made in chunks on a CPU, for they fit
        into its caches and the batch does not.
        """
        inputs, device = parts.inputs, parts.inputs.device
        out = torch.empty_like(inputs)
        covered = torch.zeros_like(parts.people.present)
        cover = torch.zeros_like(parts.mattes)
        h, w = image_size(inputs)
        size = max(1, _CHUNK // (h * w)) if device.type == 'cpu' else len(out)
        for first in range(0, len(out), size):
            rows = np.arange(first, min(first + size, len(out)))
            part = slice(first, first + len(rows))
            canvas = self._compose(parts, rows)
            if (parts.chosen[_FRONT][rows] >= 0).any():
                canvas, cover[part], covered[part] = self._paste(
                    canvas, parts, rows, _FRONT)
            canvas = self._jitter(canvas, parts, rows)
            torch.addcmul(-self.mean / self.std, canvas, 1 / self.std,
                          out=out[part])
        return out, covered, cover

    def _compose(self, parts: _Parts, rows: np.ndarray) -> Tensor:
        """Scene, people behind, and the person: images in [0, 1]."""
        inputs, mattes, filled = parts.inputs, parts.mattes, parts.filled
        chosen, device, size = parts.chosen[:, rows], inputs.device, \
            image_size(inputs)
        part = slice(rows[0], rows[-1] + 1)
        own = self._unit(inputs[part])
        if not (chosen[:_FRONT] >= 0).any():
            return own
        whole, canvas = ~filled[part], own
        here = np.nonzero(chosen[_SCENE] >= 0)[0]
        if len(here):
            index, other = on(device, here), on(device, chosen[_SCENE][here])
            lent = self.fill_scenes(self._unit(inputs[other]), mattes[other])
            canvas = own.index_copy(0, index, warp(
                lent, self.scene_affine.matrices(
                    parts.draws.places[rows[here], 0], size), 'reflection'))
            whole = whole.index_copy(0, index, whole[index] | ~filled[other])
        if (chosen[_BEHIND] >= 0).any():
            canvas = self._paste(canvas, parts, rows, _BEHIND)[0]
        if (chosen[_APPEARANCE] >= 0).any():
            own = torch.addcmul(parts.offset[part], own,
                                parts.gain[part]).clamp_(0, 1)
        return torch.lerp(canvas, own, torch.maximum(
            mattes[part], whole[:, None, None, None].to(mattes)))

    def _paste(self, canvas: Tensor, parts: _Parts, rows: np.ndarray,
               layer: int) -> tuple[Tensor, Tensor, Tensor]:
        """Pastes other people over some images.

        Returns:
            tuple: The images, what was pasted (n, 1, H, W), and the joints
            that it hides (n, K). In front, what would hide too many is left
            out.
        """
        device, filled = canvas.device, parts.filled
        chosen = parts.chosen[layer][rows]
        here = np.nonzero(chosen >= 0)[0]
        index, mine, other = (on(device, x) for x in (
            here, rows[here], chosen[here]))
        person = torch.addcmul(parts.offset[other],
                               self._unit(parts.inputs[other]),
                               parts.gain[other]).clamp_(0, 1)
        pasted = warp(torch.cat([person, parts.mattes[other]], 1),
                      self.occluder_affine.matrices(
                          parts.draws.places[rows[here], layer - 1],
                          image_size(canvas)))
        present = parts.people.present[mine]
        seen = filled[mine] & filled[other]
        hidden = hidden_joints(parts.people.keypoints[mine], present,
                               pasted[:, 3:])
        if layer == _FRONT:
            most = self.max_covered * present.sum(1).clamp(min=1)
            seen = seen & (hidden.sum(1) <= most)
        alpha = pasted[:, 3:] * seen[:, None, None, None]
        cover = canvas.new_zeros(len(canvas), 1, *image_size(canvas))
        covered = torch.zeros_like(parts.people.present[rows[0]:rows[-1] + 1])
        return (canvas.index_copy(0, index, torch.lerp(
                    canvas[index], pasted[:, :3], alpha)),
                cover.index_copy(0, index, alpha),
                covered.index_copy(0, index, hidden & seen[:, None]))

    def _jitter(self, canvas: Tensor, parts: _Parts,
                rows: np.ndarray) -> Tensor:
        """Ordinary colour jitter of the annotated images."""
        here = np.nonzero(parts.people.labelled[rows])[0]
        if not self.jitter.any() or not len(here):
            return canvas
        reach = 2 * parts.draws.colours[rows[here], 1:] - 1
        factors = on(canvas.device, 1 + reach * self.jitter).unbind(1)
        if len(here) == len(rows):
            return jitter_colours(canvas, *factors)
        index = on(canvas.device, here)
        return canvas.index_copy(0, index, jitter_colours(canvas[index],
                                                          *factors))


@dataclass
class _Parts:
    """A batch taken apart.

    Attributes:
        inputs (Tensor): (N, 3, H, W) normalised.
        mattes (Tensor): (N, 1, H, W).
        filled (Tensor): (N,) bool, whose matte is not empty.
        gain (Tensor), offset (Tensor): (N, 3, 1, 1) of the person's colours.
        people (People): Poses.
        chosen (np.ndarray): (4, N) partners for scene, appearance, behind
            and in front, -1 for none.
        draws (Draws): Random numbers.
    """

    inputs: Tensor
    mattes: Tensor
    filled: Tensor
    gain: Tensor
    offset: Tensor
    people: People
    chosen: np.ndarray
    draws: Draws
