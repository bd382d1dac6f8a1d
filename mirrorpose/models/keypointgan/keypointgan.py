"""KeypointGAN: named keypoints from unlabelled frames and unpaired poses.

Jakab, Gupta, Bilen, Vedaldi, "Self-supervised Learning of Interpretable
Keypoints from Unlabelled Videos", CVPR 2020, arXiv 1907.02055. Signs, weights
and order of the steps are those of the published code (spec 2.1, 2.3).
"""
from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from mmpose.models.pose_estimators import TopdownPoseEstimator
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..adversarial import AdversarialMixin, unwrap
from ..losses.adversarial import LeastSquaresGANLoss, sample_means
from ..losses.perceptual import TERMS
from ..pose.prior import check_keypoints
from .image_pool import ImagePool
from .regressor import pack
from .sides import nearer_sides

#: Squared differences of skeleton images in [-1, 1], where the published
#: weights were chosen, over those in [0, 1].
SIGNED = 4.


@dataclass
class Cycle:
    """What an image becomes on its way: x, y, p, beta(p), x_hat.

    Args:
        skeleton (Tensor): (N, L, h, w) Phi(x), about [0, 1].
        keypoints (Tensor): (N, K, 2) eta(y) in [-1, 1].
        drawn (Tensor): (N, L, h, w) beta(p) in [0, 1].
        image (Tensor): (N, 3, h, w) Psi(., x'), about [-1, 1].
    """

    skeleton: Tensor
    keypoints: Tensor
    drawn: Tensor
    image: Tensor


@MODELS.register_module()
class KeypointGAN(AdversarialMixin, TopdownPoseEstimator):
    """Image to skeleton to keypoints to skeleton to image.

    ``backbone`` (Phi) and ``head`` (eta) are all that predicts: keypoints
    as any top-down estimator's, with scores. An iteration is the step
    ``generator`` (Phi and Psi; D and eta frozen), then ``discriminator``
    (D; fakes through a history), then ``regressor`` (eta, on the skeletons
    of the first step). Each has its optimizer; see
    :class:`mirrorpose.models.adversarial.AdversarialMixin`. It is a
    PosePrior too: the score of D for a drawn pose.

    The rows of the paper's Table 4 are ``generator.conditional``,
    ``bottleneck`` and ``second_cycle``.

    Args:
        backbone (dict): Config of Phi, ``SkeletonTranslator``.
        head (dict): Config of eta, ``SkeletonRegressor``; its skeleton is
            the model's.
        generator (dict): Config of Psi, ``ConditionalDecoder``.
        discriminator (dict): Config of D, ``MultiScaleDiscriminator``.
        renderer (dict): Config of beta, ``SkeletonRenderer``, of the size of
            the images.
        perceptual (dict, optional): Config of the reconstruction's loss.
            Defaults to ``PerceptualLoss``.
        bottleneck (bool): Psi reads beta(eta(Phi(x))) (Eq. 3); otherwise
            Phi(x) itself (Eq. 1). Defaults to True.
        second_cycle (dict, optional): The cycle of CycleGAN that the paper
            leaves out, y_bar to image to y_bar: ``weight`` of its absolute
            error (10 by default), and ``discriminator``, the config of one
            for the images made on the way (by default like D, of three
            channels). Defaults to None: off.
        adversarial_weight (float): lambda_gan. Defaults to 10.
        reconstruction_weight (float): lambda_rec. Defaults to 10.
        render_weight (float): lambda_rc, of the squared distance of Phi(x)
            to beta(eta(Phi(x))). Defaults to 0.
        fake_weight, real_weight (float): Of eta's terms on Phi(x) and on
            the unpaired poses. Default to 0.1 and 0.9.
        pool_size (int): Of the history. Defaults to 50.
        correct_sides (bool): Predictions come a second time as
            ``keypoints_corrected``: exchanged left for right where that
            brings them nearer to those of ``offline_head``, a copy of eta as
            it was when training began (spec 2.4). Defaults to True.
        micro_batches (int): See :meth:`AdversarialMixin.set_steps`.
        neck: Only None.
        train_cfg, test_cfg, data_preprocessor, init_cfg, metainfo: As in
            mmpose's ``TopdownPoseEstimator``. The preprocessor is a
            ``FramePairPreprocessor`` by default.

    Raises:
        TypeError: ``second_cycle`` has an unknown key.
        ValueError: A weight is negative, a neck is given, or the parts do
            not fit each other.
    """

    reads_sequence = False

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 generator: dict,
                 discriminator: dict,
                 renderer: dict,
                 perceptual: dict | None = None,
                 bottleneck: bool = True,
                 second_cycle: Mapping[str, Any] | None = None,
                 adversarial_weight: float = 10.,
                 reconstruction_weight: float = 10.,
                 render_weight: float = 0.,
                 fake_weight: float = 0.1,
                 real_weight: float = 0.9,
                 pool_size: int = 50,
                 correct_sides: bool = True,
                 micro_batches: int = 1,
                 neck: None = None,
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None,
                 metainfo: dict | None = None) -> None:
        if neck is not None:
            raise ValueError('KeypointGAN has no neck: what its bottleneck '
                             f'does is fixed; got {neck!r}')
        super().__init__(
            backbone, None, head, train_cfg, test_cfg,
            MODELS.build(data_preprocessor or dict(
                type='FramePairPreprocessor')),
            init_cfg=init_cfg, metainfo=metainfo)
        weights = dict(adversarial_weight=adversarial_weight,
                       reconstruction_weight=reconstruction_weight,
                       render_weight=render_weight, fake_weight=fake_weight,
                       real_weight=real_weight)
        for name, value in weights.items():
            if value < 0:
                raise ValueError(f'{name} must not be negative, got {value}')
        self.weights, self.bottleneck = weights, bottleneck
        self.generator = MODELS.build(generator)
        self.discriminator = MODELS.build(discriminator)
        self.renderer = MODELS.build(renderer)
        self.perceptual = MODELS.build(
            perceptual or dict(type='PerceptualLoss'))
        self.skeleton = self.head.skeleton
        self._check_parts()
        shape = (self.renderer.channels, *self.renderer.size)
        self.pool = ImagePool(shape, pool_size)
        self.gan = LeastSquaresGANLoss()
        self.cycle_weight = self._second(second_cycle, discriminator,
                                         pool_size)
        self.correct_sides = correct_sides
        self.offline_head = copy.deepcopy(self.head).requires_grad_(False)
        critics = ['discriminator'] + (
            ['image_discriminator'] if self.cycle_weight else [])
        self.set_steps([
            dict(name='generator', trains=['backbone', 'generator']),
            dict(name='discriminator', trains=critics, float32=True),
            dict(name='regressor', trains=['head'], float32=True)],
            micro_batches)

    def _second(self, cycle: Mapping[str, Any] | None, like: dict,
                pool_size: int) -> float:
        """Builds what the second cycle needs; its weight, 0 where off."""
        if cycle is None:
            return 0.
        unknown = set(cycle) - {'weight', 'discriminator'}
        if unknown:
            raise TypeError('second_cycle has the keys weight and '
                            f'discriminator, got {sorted(unknown)}')
        weight = float(cycle.get('weight', 10.))
        if weight <= 0:
            raise ValueError('second_cycle.weight must be positive, got '
                             f'{weight}; second_cycle=None is off')
        config = cycle.get('discriminator') or dict(
            like, in_channels=3, unit_range=False)
        self.image_discriminator = MODELS.build(dict(config))
        self.image_pool = ImagePool((3, *self.renderer.size), pool_size)
        return weight

    def _check_parts(self) -> None:
        """Channels and joints of the parts against each other."""
        drawn = self.renderer.channels
        have = {'backbone.out_channels': self.backbone.out_channels,
                'head.in_channels': self.head.in_channels,
                'generator.in_channels': self.generator.in_channels,
                'discriminator.in_channels': self.discriminator.in_channels}
        wrong = {k: v for k, v in have.items() if v != drawn}
        if wrong:
            raise ValueError(f'the renderer draws {drawn} channels, but '
                             f'{wrong}: set them to {drawn}')
        own = getattr(self.renderer.skeleton, 'joints', None)
        if self.renderer.joints != len(self.skeleton) or (
                own is not None and own != self.skeleton.joints):
            raise ValueError(
                f'the head knows {self.skeleton.name!r} with '
                f'{len(self.skeleton)} joints, the renderer another set of '
                f'{self.renderer.joints}: give both the same skeleton')

    def init_weights(self) -> None:
        """Loads what ``init_cfg`` names; eta is then what stays behind.

        A whole model that is named (fine-tuning) brings its own offline
        regressor, the one of its first training.
        """
        for child in self.children():
            inner: Any = unwrap(child)
            if hasattr(inner, 'init_weights'):
                inner.init_weights()
        self.offline_head.load_state_dict(unwrap(self.head).state_dict())
        whole = self.init_cfg if isinstance(self.init_cfg, list) else [
            self.init_cfg or {}]
        for config in whole:
            if config.get('type') == 'Pretrained':
                self._load_whole(config['checkpoint'])

    def _load_whole(self, path: str) -> None:
        """Weights of a whole model; children may be wrapped already.

        Raises:
            ValueError: The checkpoint is of another model.
        """
        from mirrorpose.engine.checkpoint import check_fits, load
        held = load(path)
        check_fits(self, held, path)
        for name, child in self.named_children():
            inner: nn.Module = unwrap(child)
            own = {k.removeprefix(f'{name}.'): v
                   for k, v in held['state_dict'].items()
                   if k.startswith(f'{name}.')}
            if own:
                inner.load_state_dict(own)

    def train(self, mode: bool = True) -> KeypointGAN:
        """The offline regressor stays in eval mode."""
        super().train(mode)
        if hasattr(self, 'offline_head'):
            self.offline_head.eval()
        return self

    # -- training ---------------------------------------------------------
    def _rng(self, stream: int) -> np.random.Generator:
        """Draws of the histories, the same in every process.

        A function of seed, iteration and part of the batch.
        """
        seed = MessageHub.get_current_instance().get_info('seed', 0) or 0
        part = next((i for i, c in enumerate(self._caches)
                     if c is self.step_cache), 0)
        return np.random.default_rng(
            [int(seed), max(self._iteration, 0), part, stream])

    def translate(self, image: Tensor) -> Tensor:
        """Phi(x), (N, L, h, w), float32."""
        return self.backbone(image)[-1].float()

    def cycle(self, image: Tensor, condition: Tensor) -> Cycle:
        """Eq. 3 (or, without a bottleneck, Eq. 1).

        Args:
            image (Tensor): (N, 3, h, w) x, in [-1, 1].
            condition (Tensor): (N, 3, h, w) x', of the same subject.
        """
        skeleton = self.translate(image)
        keypoints = self.head(skeleton)
        drawn = self.renderer(keypoints)
        made = self.generator(drawn if self.bottleneck else skeleton,
                              condition).float()
        return Cycle(skeleton, keypoints, drawn, made)

    def generator_losses(self, inputs: Mapping[str, Tensor], poses: Tensor,
                         pose_present: Tensor,
                         data_samples: Sequence[Any] = ()
                         ) -> dict[str, Tensor]:
        """What Phi and Psi minimise (Eq. 6, signs of the code)."""
        w, image = self.weights, inputs['image']
        out = self.cycle(image, inputs['condition'])
        terms = self.perceptual.terms(out.image, image)
        apart = F.mse_loss(out.skeleton, out.drawn.detach())
        losses = dict(
            loss_adversarial=w['adversarial_weight']
            * self.gan.generator_losses(
                self.discriminator, out.skeleton)['loss_adversarial'],
            loss_reconstruction=w['reconstruction_weight']
            * self.perceptual.weigh(terms),
            # The loss hovers about 1: these tell the progress (T2.3).
            **{f'mon_error_{k}': v.detach() for k, v in zip(TERMS, terms)},
            mon_skeleton_apart=apart.detach())
        if w['render_weight']:
            losses['loss_render'] = w['render_weight'] * SIGNED * apart
        self.step_cache.update(
            skeleton=out.skeleton, image=out.image,
            # The spread of predicted poses beside that of the prior's.
            generated=out.keypoints, real=poses)
        if self.cycle_weight:
            losses.update(self._second_losses(
                image, poses, pose_present))
        return losses

    def _second_losses(self, appearance: Tensor, poses: Tensor,
                       pose_present: Tensor) -> dict[str, Tensor]:
        """y_bar to image to y_bar."""
        drawn = self.renderer(poses, pose_present)
        imagined = self.generator(drawn, appearance).float()
        again = self.translate(imagined)
        self.step_cache['imagined'] = imagined
        return dict(
            # |.| in [-1, 1] is twice that in [0, 1].
            loss_second_cycle=self.cycle_weight * 2 * F.l1_loss(
                again, drawn),
            loss_imagined=self.weights['adversarial_weight']
            * self.gan.generator_losses(
                self.image_discriminator, imagined)['loss_adversarial'])

    def discriminator_losses(self, inputs: Mapping[str, Tensor],
                             poses: Tensor, pose_present: Tensor,
                             data_samples: Sequence[Any] = ()
                             ) -> dict[str, Tensor]:
        """What D minimises; it sees Phi(x), not beta(eta(Phi(x)))."""
        fake = self.pool.query(self.step_cache['skeleton'], self._rng(0))
        losses = self.gan.critic_losses(
            self.discriminator, self.renderer(poses, pose_present), fake)
        if self.cycle_weight:
            imagined = self.image_pool.query(self.step_cache['imagined'],
                                             self._rng(1))
            for key, value in self.gan.critic_losses(
                    self.image_discriminator, inputs['image'],
                    imagined).items():
                kind, _, rest = key.partition('_')
                losses[f'{kind}_image_{rest}'] = value
        return losses

    def regressor_losses(self, inputs: Mapping[str, Tensor], poses: Tensor,
                         pose_present: Tensor,
                         data_samples: Sequence[Any] = ()
                         ) -> dict[str, Tensor]:
        """What eta minimises, on detached skeletons (trap T2.4)."""
        fake = self.step_cache['skeleton'].detach()
        real = self.renderer(poses, pose_present)
        keypoints = self.head(torch.cat([fake, real]))
        on_fake, on_real = keypoints.split([len(fake), len(real)])
        head: Any = unwrap(self.head)
        return dict(
            loss_fake=self.weights['fake_weight'] * SIGNED * F.mse_loss(
                self.renderer(on_fake), fake),
            loss_real=self.weights['real_weight'] * head.error(
                on_real, poses, pose_present))

    # -- use --------------------------------------------------------------
    def forward(self, inputs: Any, data_samples: Any = None,
                mode: str = 'tensor', **others: Any) -> Any:
        """mmpose's modes. Of a training batch only ``image`` is read."""
        if isinstance(inputs, Mapping):
            inputs = inputs['image']
        return super().forward(inputs, data_samples, mode)

    def decode(self, keypoints: Tensor, condition: Tensor | None,
               visible: Tensor | None = None) -> Tensor:
        """The image of a pose with the appearance of another frame.

        Args:
            keypoints (Tensor): (N, K, 2) in [-1, 1].
            condition (Tensor, optional): (N, 3, h, w) in [-1, 1].
            visible (Tensor, optional): (N, K), positive where present.

        Returns:
            Tensor: (N, 3, h, w), about [-1, 1].
        """
        generator: Any = unwrap(self.generator)
        return generator(self.renderer(keypoints, visible),
                         condition).float()

    def side_corrected(self, keypoints: Tensor) -> tuple[Tensor, Tensor]:
        """Sides as the offline regressor sees them (spec 2.4).

        Args:
            keypoints (Tensor): (N, K, 2) eta(Phi(x)).

        Returns:
            tuple[Tensor, Tensor]: (N, K, 2), and (N,) bool: exchanged.
        """
        reference = self.offline_head(self.renderer(keypoints))
        return nearer_sides(keypoints, reference, self.skeleton.flip_indices)

    def check_training(self) -> None:
        """Stops a training that lacks the perceptual loss's weights.

        Raises:
            FileNotFoundError, ModuleNotFoundError: They are not there.
        """
        check: Any = getattr(self.perceptual, 'check_training', None)
        if check is not None:
            check()

    def predict(self, inputs: Tensor,
                data_samples: Sequence[Any]) -> Sequence[Any]:
        """Keypoints in pixels of the original image.

        ``pred_instances`` has ``keypoints`` (1, K, 2) as eta gives them,
        ``keypoint_scores`` (1, K), and, if sides are corrected,
        ``keypoints_corrected`` (1, K, 2) and ``sides_exchanged`` (1,).
        """
        backbone: Any = unwrap(self.backbone)
        head: Any = unwrap(self.head)
        feats: Any = backbone(inputs)
        if self.test_cfg.get('flip_test', False):
            feats = [feats, backbone(inputs.flip(-1))]
        keypoints, scores = head.estimate(feats, self.test_cfg)
        h, w = inputs.shape[-2:]
        if not self.correct_sides:
            people = pack(keypoints, scores, (h, w))
            return self.add_pred_to_datasample(people, None, data_samples)
        corrected, swapped = self.side_corrected(keypoints)
        people = pack(keypoints, scores, (h, w),
                      keypoints_corrected=corrected)
        for person, one in zip(people, swapped.tolist()):
            person.sides_exchanged = np.array([one])
        return self.add_pred_to_datasample(people, None, data_samples)

    def add_pred_to_datasample(self, batch_pred_instances: Any,
                               batch_pred_fields: Any,
                               batch_data_samples: Any) -> Any:
        """As mmpose's, with ``keypoints_corrected`` to the image as well."""
        for person, sample in zip(batch_pred_instances, batch_data_samples):
            meta = sample.metainfo
            if 'keypoints_corrected' in person:
                person.keypoints_corrected = (
                    person.keypoints_corrected / meta['input_size']
                    * meta['input_scale'] + meta['input_center']
                    - .5 * np.asarray(meta['input_scale']))
        return super().add_pred_to_datasample(
            batch_pred_instances, batch_pred_fields, batch_data_samples)

    def score(self, keypoints: Tensor, mask: Tensor | None = None) -> Tensor:
        """How real D finds drawn poses, (N,); see :class:`PosePrior`."""
        keypoints = check_keypoints(keypoints, mask, self.skeleton, False)
        critic: nn.Module = unwrap(self.discriminator)
        return sample_means(critic(self.renderer(keypoints, mask)))
