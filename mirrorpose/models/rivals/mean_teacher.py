"""Mean teacher: a pose recognizer and its own running average.

Tarvainen and Valpola, "Mean teachers are better role models", arXiv
1703.01780; for heatmaps as in semi-supervised pose estimation: the average
of the weights looks at an un-annotated image as it is, and the recognizer
has to say the same of a strongly augmented view of it.
"""
from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.typing import SampleList
from torch import Tensor

from mirrorpose.datasets.crops.draws import uniforms
from mirrorpose.structures import Skeleton

from ..mirrornet.batch import gather, sample_id
from ..mirrornet.compositing import image_size, warp
from ..mirrornet.mirrornet import PoseRecognition
from ..mirrornet.recombination_draws import Affine, StepKeys
from ..pose import draw_gaussians, peaks, soft_argmax
from .strong_view import (
    PLACES,
    in_pixels,
    move_maps,
    move_points,
)

TARGETS = ('redrawn', 'maps')
_PARTS = ('backbone', 'neck', 'head')


@MODELS.register_module()
class MeanTeacher(PoseRecognition):
    """Trains a top-down recognizer on annotated and un-annotated images.

    In any config of a :class:`PoseRecognition` whose batches mix both kinds
    (``SemiSupervisedSampler``; un-annotated samples go through
    ``DropLabels``). The weights of the teacher are those that are evaluated.

    The teacher is brought up to date when a step begins, from the weights
    that the step before has left; so it needs no hook, and is the same in
    all processes. Its factor grows from 0 as 1 - 1 / (step + 1), so the
    first step copies the recognizer, whatever it started from. Running
    statistics are averaged as weights are.

    Targets are drawn in the convention of ``MSRAHeatmap``: the centre of
    cell c lies at pixel c times the stride.

    Args:
        momentum (float): Of the average, at most. Defaults to 0.99.
        consistency_weight (float): Of the consistency against recognition,
            both means over their images. Defaults to 1.
        ramp_steps (int): The weight grows to its value over so many steps,
            as exp(-5 (1 - t)^2). Defaults to 0: at once.
        target (str): ``'redrawn'``: a Gaussian at the place where the
            teacher sees the joint; ``'maps'``: the teacher's maps
            themselves, and every joint counts. Defaults to ``'redrawn'``.
        threshold (float): Joints whose maximum in the teacher's map is not
            above it do not count (``'redrawn'``). Defaults to 0.3.
        sigma (float): Standard deviation of a drawn Gaussian in cells; the
            codec's. Defaults to 2.
        temperature (float): Of the soft-argmax, which looks three sigma
            around the peak. Defaults to 0.05.
        affine (Mapping, optional): ``rotate``, ``scale``, ``shift``,
            ``flip`` of the strong view, as :class:`Affine` takes them.
            Defaults to its own, shifts up to 0.1.
        colours (dict, optional): Config of a :class:`StrongColours` for it,
            with the ``mean`` and ``std`` of the preprocessor. Defaults to
            None: no change of colours.
        recombination (dict, optional): Config of a :class:`Recombination`
            (not the paper's): what the recognizer learns from is put into
            other scenes, while the teacher looks at images as they are.
            With ``recombined='all', estimator='model'`` un-annotated people
            too, whom the teacher cuts out. Defaults to None.
        teacher_init (dict, optional): An ``init_cfg`` of a trained teacher,
            which is then left as it is (self-training). Defaults to None:
            the average.
        skeleton (str): Joint set; its mirror pairs. Defaults to
            ``'mpii_16'``.
        evaluate (str, optional): ``'teacher'`` or ``'student'``. Defaults
            to the teacher, unless it had its own weights.
        others: As in :class:`PoseRecognition`.

    Raises:
        ValueError: An option that does not exist or does not fit.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 neck: dict | None = None,
                 momentum: float = 0.99,
                 consistency_weight: float = 1.,
                 ramp_steps: int = 0,
                 target: str = 'redrawn',
                 threshold: float = 0.3,
                 sigma: float = 2.,
                 temperature: float = 0.05,
                 affine: Mapping[str, Any] | None = None,
                 colours: dict | None = None,
                 recombination: dict | None = None,
                 teacher_init: dict | None = None,
                 skeleton: str = 'mpii_16',
                 evaluate: str | None = None,
                 pose_variance: float = 0.01,
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None,
                 metainfo: dict | None = None) -> None:
        evaluate = evaluate or ('student' if teacher_init else 'teacher')
        for name, value, known in (('target', target, TARGETS), (
                'evaluate', evaluate, ('teacher', 'student'))):
            if value not in known:
                raise ValueError(f'{name} is one of {known}, got {value!r}')
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum}')
        if consistency_weight < 0 or ramp_steps < 0:
            raise ValueError('consistency_weight and ramp_steps must not be '
                             f'negative, got {consistency_weight} and '
                             f'{ramp_steps}')
        networks = copy.deepcopy(dict(backbone=backbone, neck=neck,
                                      head=head))
        super().__init__(backbone, head, neck, pose_variance, train_cfg,
                         test_cfg, data_preprocessor, init_cfg, metainfo)
        self.teacher = TopdownPoseEstimator(
            **networks, test_cfg=test_cfg, metainfo=metainfo,
            init_cfg=teacher_init)
        self.averaging = teacher_init is None
        self.teacher.requires_grad_(False)
        #: Steps that the teacher has averaged over.
        self.register_buffer('averaged', torch.zeros((), dtype=torch.long))
        self.momentum, self.evaluate = momentum, evaluate
        self.consistency_weight = consistency_weight
        self.ramp_steps, self.target = ramp_steps, target
        self.threshold, self.sigma = threshold, sigma
        self.temperature = temperature
        self.affine = Affine(**dict(dict(shift=.1), **dict(affine or {})))
        self.colours = None if colours is None else MODELS.build(
            dict(dict(type='StrongColours'), **colours))
        self.recombination = None if recombination is None else MODELS.build(
            dict(dict(type='Recombination', skeleton=skeleton),
                 **recombination))
        if self.recombination is not None:
            self.recombination.use_model(self.teacher)
        joints = Skeleton.from_name(skeleton)
        if getattr(self.head, 'out_channels', len(joints)) != len(joints):
            raise ValueError(
                f'the head predicts {self.head.out_channels} joints, and '
                f'skeleton={skeleton!r} has {len(joints)}')
        self.register_buffer('mirrored', torch.tensor(
            list(joints.flip_indices)), persistent=False)
        self._keys = StepKeys()
        self.train(self.training)

    averaged: Tensor
    mirrored: Tensor

    def train(self, mode: bool = True) -> MeanTeacher:
        """The teacher looks with its running statistics."""
        super().train(mode)
        if hasattr(self, 'teacher'):
            self.teacher.eval()
        return self

    def init_weights(self) -> None:
        """The teacher begins as the recognizer, if it has no weights."""
        super().init_weights()
        if not self.averaging:
            return
        with torch.no_grad():
            for mine, its in self._pairs():
                its.copy_(mine)

    # -- the average --------------------------------------------------------
    def _pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Tensors of the recognizer, and the teacher's beside them."""
        for name in _PARTS:
            own, other = getattr(self, name, None), getattr(
                self.teacher, name, None)
            if own is None or other is None:
                continue
            yield from zip(own.parameters(), other.parameters())
            yield from zip(own.buffers(), other.buffers())

    @torch.no_grad()
    def update_teacher(self) -> None:
        """One step of the average, where there is one."""
        step = int(self.averaged)
        self.averaged += 1
        if not self.averaging:
            return
        keep = min(1 - 1 / (step + 1), self.momentum)
        for mine, its in self._pairs():
            if its.is_floating_point():
                its.lerp_(mine.to(its), 1 - keep)
            else:
                its.copy_(mine)

    def ramp(self, step: int) -> float:
        """Share of the consistency's weight at a step, in [0, 1]."""
        if step >= self.ramp_steps:
            return 1.
        return math.exp(-5 * (1 - step / self.ramp_steps)**2)

    # -- training -----------------------------------------------------------
    @torch.no_grad()
    def strong_view(self, inputs: Tensor
                    ) -> tuple[Tensor, np.ndarray, np.ndarray]:
        """A strongly augmented view of images.

        Args:
            inputs (Tensor): (N, 3, H, W) normalised.

        Returns:
            tuple: Images (N, 3, H, W); maps (N, 2, 3) from their pixels to
            those of ``inputs``; which are mirrored (N,) bool.
        """
        keys = self._keys(len(inputs))
        drawn = uniforms(keys, 5, PLACES)
        size = image_size(inputs)
        matrices = self.affine.matrices(drawn, size)
        view = warp(inputs.float(), matrices, 'zeros')
        if self.colours is not None:
            view = self.colours.augment(view, keys)
        return (view.to(inputs), in_pixels(matrices, size),
                drawn[:, 4] < self.affine.flip)

    @torch.no_grad()
    def targets(self, inputs: Tensor, matrices: np.ndarray,
                flipped: np.ndarray) -> tuple[Tensor, Tensor]:
        """What the teacher sees in images, as it lies in their strong views.

        Args:
            inputs (Tensor): (N, 3, H, W), the weak views.
            matrices (np.ndarray): (N, 2, 3) pixels, strong to weak.
            flipped (np.ndarray): (N,) bool.

        Returns:
            tuple[Tensor, Tensor]: Maps (N, K, h, w), and which joints count
            (N, K).
        """
        out = self.teacher.head(self.teacher.extract_feat(inputs))
        maps = (out[-1] if isinstance(out, (list, tuple)) else out).float()
        (h, w), (height, width) = image_size(maps), image_size(inputs)
        stride = np.array([width / w, height / h])
        to_source = matrices.copy()
        to_source[:, :, :2] *= stride / stride[:, None]
        to_source[:, :, 2] /= stride
        value = peaks(maps)[1]
        if self.target == 'maps':
            moved, sure = move_maps(maps, to_source), torch.ones_like(
                value, dtype=torch.bool)
        else:
            radius = max(1, round(3 * self.sigma))
            cells = move_points(soft_argmax(maps, self.temperature, radius),
                                to_source)
            inside = ((cells > -.5) & (cells < cells.new_tensor(
                [w, h]) - .5)).all(-1)
            moved = draw_gaussians(cells, (h, w), self.sigma)
            sure = inside & (value > self.threshold)
        mirror = torch.from_numpy(flipped).to(maps.device)
        return (torch.where(mirror[:, None, None, None],
                            moved[:, self.mirrored], moved),
                torch.where(mirror[:, None], sure[:, self.mirrored], sure))

    def consistency(self, stacks: list[Tensor], target: Tensor,
                    sure: Tensor) -> Tensor:
        """Squared distance over 2 v_alpha, summed over stacks, (N,)."""
        weight = sure[..., None, None] / (2 * self.pose_variance)
        return torch.stack([((stack - target)**2 * weight).sum((1, 2, 3))
                            for stack in stacks]).sum(0)

    def loss(self, inputs: Tensor,
             data_samples: SampleList) -> dict[str, Tensor]:
        """Recognition of annotated images, consistency of the others.

        Each is a mean over its own images and their cells, so recognition
        weighs what it weighs in a :class:`PoseRecognition`.

        Raises:
            ValueError: No sample of the batch is annotated.
        """
        step = int(self.averaged)
        self.update_teacher()
        batch = gather(inputs, data_samples,
                       getattr(self.head, 'out_channels', None))
        known, other = batch.labelled, ~batch.labelled
        if not bool(known.any()):
            raise ValueError(
                f'none of the {len(inputs)} samples of this batch is '
                f'annotated (the first is {sample_id(data_samples[0])}): use '
                'SemiSupervisedSampler')
        some = bool(other.any())
        weak = inputs
        if self.recombination is not None:
            inputs, data_samples = self.recombination(inputs, data_samples)
        if some:
            view, matrices, flipped = self.strong_view(inputs[other])
            inputs = inputs.clone()
            inputs[other] = view
        stacks = self.recognize(inputs)
        nats = self.recognition([s[known] for s in stacks], batch.pose[known],
                                batch.present[known])
        cells = batch.pose[0].numel()
        losses = dict(loss_recognition=-nats.sum() / (len(nats) * cells))
        if some:
            target, sure = self.targets(weak[other], matrices, flipped)
            distance = self.consistency([s[other] for s in stacks], target,
                                        sure)
            losses['loss_consistency'] = (
                self.consistency_weight * self.ramp(step) * distance.mean()
                / cells)
            losses['mon_sure'] = sure.float().mean()
        return losses

    # -- prediction ---------------------------------------------------------
    def predict(self, inputs: Tensor,
                data_samples: SampleList) -> SampleList:
        """mmpose's prediction by the teacher (or the student)."""
        if self.evaluate == 'teacher':
            return self.teacher.predict(inputs, data_samples)
        return super().predict(inputs, data_samples)
