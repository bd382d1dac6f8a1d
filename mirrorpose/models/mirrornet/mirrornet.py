"""MirrorNet: semi-supervised pose estimation by two mirrored VAEs.

Nakatsuka et al., "MirrorNet: A Deep Reflective Approach to 2D Pose
Estimation for Single-Person Images", arXiv 2004.03811. (Not the mirror
segmentation network of the same name.)
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.typing import SampleList
from torch import Tensor

from ..pose import draw_gaussians, probability, soft_argmax
from ..steps import statistics_kept
from . import objective
from .batch import PoseBatch, gather, reduce_image, sample_id, sample_keys
from .image_vae import ImageVAEOutput, Noise, _torch_noise
from .pose_vae import PoseVAEOutput
from .scores import Scores, add_scores, fidelity_scores, plausibility_scores

TERMS = ('recognition', 'fidelity', 'kl_appearance', 'kl_scene',
         'plausibility', 'kl_primitive')


@MODELS.register_module()
class PoseRecognition(TopdownPoseEstimator):
    """mmpose's top-down estimator trained by likelihood (Eq. 30).

    The loss is that of :class:`HeatmapNLLLoss` in the head, summed over the
    stacks of a multi-stage head, in float32 whatever the autocast. mmpose's
    own ``HeatmapHead.loss`` also decodes every batch on the host, which
    costs time and fails on bfloat16.

    Args:
        pose_variance (float): v_alpha. Defaults to 0.01 (paper).
        others: As in mmpose's ``TopdownPoseEstimator``.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 neck: dict | None = None,
                 pose_variance: float = 0.01,
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None,
                 metainfo: dict | None = None) -> None:
        super().__init__(backbone, neck, head, train_cfg, test_cfg,
                         data_preprocessor, init_cfg, metainfo)
        if pose_variance <= 0:
            raise ValueError('pose_variance must be positive, got '
                             f'{pose_variance}')
        self.pose_variance = pose_variance
        # Recombination may cut un-annotated people out with this model.
        for augment in getattr(self.data_preprocessor, 'batch_augments',
                               None) or ():
            if hasattr(augment, 'use_model'):
                augment.use_model(self)

    def recognize(self, inputs: Tensor) -> list[Tensor]:
        """q_alpha(y|x): mean heatmaps (N, K, h, w) of every stack."""
        out = self.head(self.extract_feat(inputs))
        stacks = out if isinstance(out, (list, tuple)) else [out]
        return [stack.float() for stack in stacks]

    def recognition(self, stacks: list[Tensor], pose: Tensor,
                    present: Tensor) -> Tensor:
        """Eq. 28 summed over the stacks, (N,) nats."""
        return torch.stack([
            objective.recognition(pose, stack, self.pose_variance, present)
            for stack in stacks]).sum(0)

    def loss(self, inputs: Tensor,
             data_samples: SampleList) -> dict[str, Tensor]:
        """-log q per sample and heatmap cell."""
        batch = gather(inputs, data_samples,
                       getattr(self.head, 'out_channels', None))
        nats = self.recognition(self.recognize(inputs), batch.pose,
                                batch.present)
        return dict(loss_recognition=-nats.sum() / batch.pose.numel())


@MODELS.register_module()
class MirrorNet(PoseRecognition):
    """A pose recognizer with a generative model of pose and image around it.

    ``backbone`` + ``head`` are any mmpose top-down heatmap recognizer, and
    all that runs at test time. In training an image goes

        image -> pose -> primitive -> pose,
        image x mask -> appearance and scene,
        pose, appearance, scene -> image,

    and the bound of the log-probability of what is observed is maximised:
    image and pose where annotated (Eq. 27), the image elsewhere (Eq. 15).

    Args:
        backbone, head, neck, train_cfg, test_cfg, data_preprocessor,
            init_cfg, metainfo: As in mmpose's ``TopdownPoseEstimator``.
        image_vae (dict): Config of an :class:`ImageVAE`.
        pose_vae (dict): Config of a :class:`PoseVAE`.
        mask_estimator (dict): Config of a :class:`MaskEstimator`.
        pose_variance (float): v_alpha, the recognizer's. Defaults to 0.01
            (paper).
        recognition_weight (float): lambda of Eq. 27. Defaults to 1.
        term_weights (dict[str, float], optional): Extra factors on the terms
            of the bound, by name (see ``TERMS``). Defaults to all 1. With
            none but recognition's (and no sleep phase) a step takes as long
            as the recognizer's alone: both VAEs rest.
        generative_input (str): Where the pose in the generative terms of
            annotated images comes from. ``'annotation'`` is the paper's, and
            leaves the recognizer's gradient exactly the plain recognizer's;
            ``'recognizer'`` runs them through its own output. Defaults to
            ``'recognizer'``.
        pose_form (str): How the recognizer's pose enters them: its maps
            (``'heatmaps'``, the paper's) or Gaussians drawn at its
            soft-argmax (``'coordinates'``). Defaults to ``'coordinates'``.
        sample_pose (bool): Sample the pose (Eq. 20) instead of taking its
            mean and the exact expectation; only with ``'heatmaps'``. The
            noise of 65,536 cells drowns the maps. Defaults to False.
        sigma (float): Standard deviation in cells of drawn Gaussians; the
            codec's. Defaults to 2.
        temperature (float): Of the soft-argmax, which looks three sigma
            around the peak. Defaults to 0.05.
        detach_mask (bool): Keep the recognizer from moving the mask.
            Defaults to True.
        sleep_weight (float): Of the recognition of annotated poses in images
            that the image VAE draws of them, with the appearance and the
            scene of other images of the batch (the sleep phase of Hinton et
            al. 1995; not the paper's). Defaults to 0: none.
        noise_per_sample (bool): Draw latent noise as a function of (seed,
            step, sample id), so that it does not depend on how samples are
            spread over batches and processes. Defaults to False.
        frozen (Sequence[str]): Children that are not trained and stay in
            eval mode. Defaults to ``('mask_estimator',)`` (paper).

    Raises:
        ValueError: Unknown option or term, joint counts that differ between
            head and pose VAE, an unknown child in ``frozen``.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 image_vae: dict,
                 pose_vae: dict,
                 mask_estimator: dict,
                 neck: dict | None = None,
                 pose_variance: float = 0.01,
                 recognition_weight: float = 1.,
                 term_weights: dict[str, float] | None = None,
                 generative_input: str = 'recognizer',
                 pose_form: str = 'coordinates',
                 sample_pose: bool = False,
                 sigma: float = 2.,
                 temperature: float = 0.05,
                 detach_mask: bool = True,
                 sleep_weight: float = 0.,
                 noise_per_sample: bool = False,
                 frozen: Sequence[str] = ('mask_estimator', ),
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None,
                 metainfo: dict | None = None) -> None:
        for what, value, known in (
                ('generative_input', generative_input,
                 ('annotation', 'recognizer')),
                ('pose_form', pose_form, ('heatmaps', 'coordinates'))):
            if value not in known:
                raise ValueError(f'{what} is one of {known}, got {value!r}')
        if sample_pose and pose_form != 'heatmaps':
            raise ValueError("sample_pose=True (Eq. 20) samples heatmaps: set "
                             f"pose_form='heatmaps', not {pose_form!r}")
        unknown = set(term_weights or {}) - set(TERMS)
        if unknown:
            raise ValueError(f'term_weights names {sorted(unknown)}; the '
                             f'terms are {TERMS}')
        super().__init__(backbone, head, neck, pose_variance, train_cfg,
                         test_cfg, data_preprocessor, init_cfg, metainfo)
        self.image_vae = MODELS.build(image_vae)
        self.pose_vae = MODELS.build(pose_vae)
        self.mask_estimator = MODELS.build(mask_estimator)
        self.joints = len(self.pose_vae.skeleton)
        if getattr(self.head, 'out_channels', self.joints) != self.joints:
            raise ValueError(
                f'the head predicts {self.head.out_channels} joints, the pose '
                f'VAE knows the {self.joints} of '
                f'{self.pose_vae.skeleton.name!r}')
        self.recognition_weight = recognition_weight
        self.term_weights = dict.fromkeys(TERMS, 1.) | (term_weights or {})
        self.generative_input, self.pose_form = generative_input, pose_form
        self.sample_pose, self.sigma = sample_pose, sigma
        self.temperature, self.detach_mask = temperature, detach_mask
        self.sleep_weight = sleep_weight
        self.noise_per_sample = noise_per_sample
        children = dict(self.named_children())
        unknown = set(frozen) - set(children)
        if unknown:
            raise ValueError(f'frozen names {sorted(unknown)}; the children '
                             f'are {sorted(children)}')
        resting = () if self.generative else ('image_vae', 'pose_vae')
        self.frozen = tuple(dict.fromkeys((*frozen, *resting)))
        for name in self.frozen:
            children[name].requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> MirrorNet:
        """Frozen children stay in eval mode: their statistics rest too."""
        super().train(mode)
        for name in getattr(self, 'frozen', ()):
            getattr(self, name).eval()
        return self

    @property
    def generative(self) -> bool:
        """Whether a generative term has weight."""
        return bool(self.sleep_weight) or any(
            self.term_weights[name] for name in TERMS[1:])

    # -- the parts of a training step, in the order of Fig. 2 -------------
    def generative_pose(self, mean: Tensor, batch: PoseBatch,
                        noise: Noise = _torch_noise) -> Tensor:
        """The pose y (N, K, h, w) that the generative terms are run on."""
        if self.sample_pose:
            pose = probability.sample(mean, math.log(self.pose_variance),
                                      noise(mean))
        elif self.pose_form == 'coordinates':
            pose = self._redraw(mean)
        else:
            pose = mean
        if self.generative_input == 'annotation':
            rows = batch.labelled[:, None, None, None]
            pose = torch.where(rows, batch.pose, pose)
        return pose

    def _redraw(self, mean: Tensor) -> Tensor:
        """Gaussians at the soft-argmax of maps, (N, K, h, w)."""
        h, w = mean.shape[-2:]
        radius = max(1, round(3 * self.sigma))
        cells = soft_argmax(mean, self.temperature, radius)
        return draw_gaussians(cells, (h, w), self.sigma)

    def estimate_mask(self, image: Tensor, pose: Tensor) -> Tensor:
        """Silhouette (N, 1, h, w) in (0, 1)."""
        pose = pose.detach() if self.detach_mask else pose
        return self.mask_estimator.sharpen(self.mask_estimator(image, pose))

    @torch.no_grad()
    def dream(self, batch: PoseBatch, out: ImageVAEOutput,
              noise: Noise = _torch_noise) -> Tensor:
        """Draws p(x|y,a,s) of annotated poses, others' appearance and scene.

        Args:
            batch (PoseBatch): N samples, M of them annotated.
            out (ImageVAEOutput): Of a pass over them.
            noise (Callable): Standard normal noise of a shape.

        Returns:
            Tensor: (M, 3, h, w), the mean of the pixels. The appearance is
            the next sample's, the scene that of one half a batch away.
        """
        lent = [probability.sample(*its, noise(its[0])).roll(shift, 0)
                for its, shift in ((out.appearance, -1),
                                   (out.scene, -max(len(batch.pose) // 2, 1)))]
        with statistics_kept(self.image_vae.generator):
            return self.image_vae.decode(batch.pose, *lent)[0][batch.labelled]

    def sleep(self, dreams: Tensor, batch: PoseBatch,
              size: tuple[int, int]) -> Tensor:
        """log q(y|x) of dreamt images at the input's size, (M,) nats."""
        images = F.interpolate(dreams, size, mode='bilinear',
                               align_corners=False)
        with statistics_kept(self.backbone, self.head):
            stacks = self.recognize(images)
        known = batch.labelled
        return self.recognition(stacks, batch.pose[known],
                                batch.present[known])

    def loss(self, inputs: Tensor,
             data_samples: SampleList) -> dict[str, Tensor]:
        """The negative bound of a batch (Eq. 29), term by term.

        Everything is divided by one constant, samples times heatmap cells,
        so the terms keep the proportions of the paper and each process
        weighs by its samples.

        Raises:
            ValueError: No sample of the batch is annotated.
        """
        batch = gather(inputs, data_samples, self.joints)
        self._check_labels(batch, data_samples)
        noise = self._noise(data_samples)

        stacks = self.recognize(inputs)
        if not self.generative:
            return self._recognition_alone(stacks, batch)
        mean = stacks[-1]
        pose = self.generative_pose(mean, batch, noise)
        pose_out = self.pose_vae(pose, noise)
        mask = self.estimate_mask(batch.image, pose)
        image_out = self.image_vae(batch.image, pose, mask, noise)

        known, other = batch.labelled, ~batch.labelled
        annotated = self.generative_input == 'annotation'
        supervised = objective.supervised_bound(
            batch.image[known], select(image_out, known), batch.pose[known],
            select(pose_out, known), mean[known], self.pose_variance,
            self.recognition_weight, batch.present[known],
            None if annotated else pose[known])
        if len(stacks) > 1:  # intermediate supervision
            supervised['recognition'] = self.recognition_weight * \
                self.recognition([stack[known] for stack in stacks],
                                 batch.pose[known], batch.present[known])
        unsupervised = objective.unsupervised_bound(
            batch.image[other], mean[other], select(image_out, other),
            pose[other], select(pose_out, other), self.pose_variance,
            sampled=self.sample_pose or self.pose_form == 'coordinates')
        total = objective.semi_supervised(supervised, unsupervised)

        scale = len(mean) * mean[0].numel()
        losses = {f'loss_{name}': -self.term_weights[name] * total[name]
                  / scale for name in TERMS}
        if self.sleep_weight:
            h, w = inputs.shape[-2:]
            nats = self.sleep(self.dream(batch, image_out, noise), batch,
                              (h, w))
            losses['loss_sleep'] = -self.sleep_weight * nats.sum() / scale
        losses['mon_bound_labelled'] = _mean(supervised)
        if bool(other.any()):
            losses['mon_bound_unlabelled'] = _mean(unsupervised)
        return losses

    def _recognition_alone(self, stacks: list[Tensor],
                           batch: PoseBatch) -> dict[str, Tensor]:
        """The recognition term, where no other has weight."""
        known = batch.labelled
        nats = self.recognition([stack[known] for stack in stacks],
                                batch.pose[known], batch.present[known])
        weight = self.recognition_weight * self.term_weights['recognition']
        return dict(loss_recognition=-weight * nats.sum()
                    / batch.pose.numel())

    def _check_labels(self, batch: PoseBatch,
                      data_samples: SampleList) -> None:
        if not bool(batch.labelled.any()):
            raise ValueError(
                f'none of the {len(data_samples)} samples of this batch is '
                f'annotated (the first is {sample_id(data_samples[0])}): use '
                'SemiSupervisedSampler with a source_ratio that gives every '
                'process at least one annotated sample')

    def _noise(self, data_samples: SampleList) -> Noise:
        if not self.noise_per_sample:
            return _torch_noise
        hub = MessageHub.get_current_instance()
        return probability.SampleNoise(sample_keys(data_samples),
                                       hub.get_info('iter') or 0,
                                       hub.get_info('seed') or 0)

    # -- test time --------------------------------------------------------
    def predict(self, inputs: Tensor,
                data_samples: SampleList) -> SampleList:
        """Predictions as mmpose's; with scores where ``test_cfg`` asks.

        With ``test_cfg=dict(scores=True)``, ``pred_instances`` also has
        ``plausibility``, ``fidelity``, ``keypoint_plausibility`` and
        ``keypoint_fidelity``, and ``pred_fields`` a map ``fidelity``; see
        :mod:`mirrorpose.models.mirrornet.scores`. The keypoints are the
        same.
        """
        if not self.test_cfg.get('scores', False):
            return super().predict(inputs, data_samples)
        feats = self.extract_feat(inputs)
        if self.test_cfg.get('flip_test', False):
            feats = [feats, self.extract_feat(inputs.flip(-1))]
        people, fields = self.head.predict(
            feats, data_samples,
            test_cfg=dict(self.test_cfg, output_heatmaps=True))
        maps = torch.stack([f.heatmaps for f in fields]).float()
        add_scores(self.pose_scores(inputs, maps), people, fields)
        if not self.test_cfg.get('output_heatmaps', False):
            for field in fields:
                del field.heatmaps
        return self.add_pred_to_datasample(people, fields, data_samples)

    @torch.no_grad()
    def pose_scores(self, inputs: Tensor, maps: Tensor) -> Scores:
        """Plausibility and fidelity of recognized poses.

        Args:
            inputs (Tensor): (N, 3, H, W) normalised images.
            maps (Tensor): (N, K, h, w) of the recognizer.
        """
        image, clean = reduce_image(inputs, maps), self._redraw(maps)
        mask = self.estimate_mask(image, clean)
        return Scores(*plausibility_scores(self.pose_vae, clean),
                      *fidelity_scores(self.image_vae, image, clean, mask))

    @torch.no_grad()
    def explain(self, inputs: Tensor,
                data_samples: SampleList | None = None) -> dict[str, Tensor]:
        """Everything that a picture of one pass shows.

        Args:
            inputs (Tensor): (N, 3, H, W) normalised images.
            data_samples (list[PoseDataSample], optional): Not needed; mmpose
                passes them along.

        Returns:
            dict: ``image`` (N, 3, h, w), ``pose`` (recognized) and
            ``pose_after`` (through the pose VAE) (N, K, h, w), ``mask``
            (N, 1, h, w), ``reconstruction`` (N, 3, h, w).
        """
        mean = self.recognize(inputs)[-1]
        image = reduce_image(inputs, mean)
        clean = self._redraw(mean)
        mask = self.estimate_mask(image, clean)
        return dict(image=image, pose=mean, mask=mask,
                    reconstruction=self.image_vae(image, clean, mask).mean,
                    pose_after=self.pose_vae(clean).mean)


def select(out: Any, rows: Tensor) -> Any:
    """The rows of a VAE's output."""
    def pick(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(pick(v) for v in value)
        return value[rows] if isinstance(value, Tensor) else value
    kind = type(out)
    if kind in (ImageVAEOutput, PoseVAEOutput):
        return kind(*(pick(value) for value in out))
    raise TypeError(f'cannot select rows of {kind.__name__}')


def _mean(bound: objective.Bound) -> Tensor:
    """Mean bound of the samples in nats."""
    return torch.stack([t.detach().mean() for t in bound.values()]).sum()
