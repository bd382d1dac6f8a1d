"""JUMPS' networks and their training."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmpose.registry import MODELS
from torch import Tensor

from ..adversarial import AdversarialMixin, unwrap
from ..losses.adversarial import uniform_from_normal
from ..pose.canonical_frame import HEAD_TOP, NECK, SKELETON, canonical_frame
from ..pose.filling import PoseStatistics
from ..steps import statistics_kept
from . import objective
from .prior import score_sequences
from .procrustes import align

Noise = Callable[[Tensor], Tensor]


def _key(name: str) -> int:
    """A window's id as 63 bits."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, 'little') >> 1


@MODELS.register_module()
class Jumps(AdversarialMixin, BaseModel):
    """Pose-sequence GAN with an encoder (Mourot et al., ICPR 2020).

    An iteration is a step of the critic (Eq. 2) and one of generator and
    encoder (Eqs. 1, 3, 6 to 8) with the paper's weights. Reads batches of
    ``PoseSequencePreprocessor``. It is also a PosePrior over sequences: the
    critic's score, with missing joints filled in.

    Batch normalisation: whatever passes there are in training, the running
    statistics that are used afterwards are of one distribution: those of E of
    true windows, those of D of true and generated ones, those of G of G(E(x))
    (or, by ``joint_pass``, of G(z) and G(E(x)) together; spec 3.7).

    Args:
        encoder, generator, critic (dict): Configs of the networks.
        penalty_weight (float): lambda_gp. Defaults to 10.
        position_weight (float): lambda_p. Defaults to 200.
        velocity_weight (float): lambda_s. Defaults to 100.
        latent_weight (float): lambda_z. Defaults to 2.
        mixed_weight (float): lambda_m. Defaults to 1.
        prior_weight (float): Holds E(x) near the prior's shell, see
            :func:`objective.prior_distance`; not of the paper. Defaults to
            0.
        masked_share (float): Share of the windows that E reads through
            their holes (``detected`` and ``observed`` of the batch), filled
            in, while it is to give the whole window back; not of the paper.
            Defaults to 0.
        joint_pass (bool): G(z) and G(E(x)) are made by one pass and share
            their batch statistics. Otherwise each has its own, which learns
            to reconstruct much faster (held-out error .094 after 150
            iterations of 64 windows, against .153 after 300). Defaults to
            False.
        noise (str): ``'torch'``, or ``'sample'``: a function of seed,
            iteration and window, equal in whatever process it is. Defaults
            to ``'torch'``.
        micro_batches (int): See :meth:`AdversarialMixin.set_steps`; equal
            to the whole batch only without batch normalisation.
        data_preprocessor, init_cfg: As in mmengine's ``BaseModel``.

    Raises:
        ValueError: A weight is negative, a share lies outside [0, 1], or the
            latents of encoder and generator differ in size.
    """

    reads_sequence = True

    def __init__(self,
                 encoder: dict,
                 generator: dict,
                 critic: dict,
                 penalty_weight: float = 10.,
                 position_weight: float = 200.,
                 velocity_weight: float = 100.,
                 latent_weight: float = 2.,
                 mixed_weight: float = 1.,
                 prior_weight: float = 0.,
                 masked_share: float = 0.,
                 joint_pass: bool = False,
                 noise: str = 'torch',
                 micro_batches: int = 1,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(
            MODELS.build(data_preprocessor or dict(
                type='PoseSequencePreprocessor')), init_cfg)
        weights = dict(penalty_weight=penalty_weight,
                       position_weight=position_weight,
                       velocity_weight=velocity_weight,
                       latent_weight=latent_weight,
                       mixed_weight=mixed_weight, prior_weight=prior_weight)
        for name, value in weights.items():
            if value < 0:
                raise ValueError(f'{name} must not be negative, got {value}')
        if not 0 <= masked_share <= 1:
            raise ValueError('masked_share lies in [0, 1], got '
                             f'{masked_share}')
        if noise not in ('torch', 'sample'):
            raise ValueError(f"noise is 'torch' or 'sample', got {noise!r}")
        self.weights, self.masked_share = weights, masked_share
        self.noise, self.joint_pass = noise, joint_pass
        self.skeleton = SKELETON
        self.encoder = MODELS.build(encoder)
        self.generator = MODELS.build(generator)
        self.critic = MODELS.build(critic)
        self.statistics = PoseStatistics()
        self.latent: int = self.generator.latent
        if self.encoder.latent != self.latent:
            raise ValueError(f'the encoder gives latents of '
                             f'{self.encoder.latent}, the generator reads '
                             f'{self.latent}')
        self.set_steps([
            dict(name='critic', trains=['critic'], float32=True),
            dict(name='generator', trains=['generator', 'encoder'])],
            micro_batches)

    # -- training ---------------------------------------------------------
    def _noise(self, ids: Sequence[str]) -> Noise:
        if self.noise == 'torch':
            return torch.randn_like
        return self.sample_noise([_key(i) for i in ids])

    def _latents(self, windows: Tensor, noise: Noise) -> Tensor:
        return noise(windows.new_zeros(len(windows), self.latent))

    def _encoder_input(self, real: Tensor, detected: Tensor,
                       observed: Tensor, noise: Noise) -> Tensor:
        if not self.masked_share:
            return real
        drawn = uniform_from_normal(noise(real.new_zeros(len(real))))
        masked = (drawn < self.masked_share)[:, None, None]
        seen = self.fill(torch.where(masked[..., None], detected, real),
                         observed | ~masked)
        return torch.where(masked[..., None], seen, real)

    def fill(self, keypoints: Tensor, observed: Tensor) -> Tensor:
        """Incomplete windows as the encoder reads them.

        Args:
            keypoints (Tensor): (N, 24, 28, 2) in any frame.
            observed (Tensor): (N, 24, 28) bool.

        Returns:
            Tensor: (N, 24, 28, 2), without holes, in the canonical frame as
            the observed joints tell it.
        """
        frame = canonical_frame(keypoints, observed)
        return self.statistics.fill(frame.apply(keypoints), observed)

    def _generate(self, latents: Tensor, encoded: Tensor
                  ) -> tuple[Tensor, Tensor]:
        """G(z) and G(E(x)), float32."""
        if self.joint_pass:
            made = self.generator(torch.cat([latents, encoded])).float()
            fake, again = made.chunk(2)
            return fake, again
        with statistics_kept(self.generator):
            fake = self.generator(latents).float()
        return fake, self.generator(encoded).float()

    def _fake(self, latents: Tensor, real: Tensor, detected: Tensor,
              observed: Tensor, noise: Noise) -> Tensor:
        """G(z) as :meth:`_generate` makes it, to be judged."""
        with torch.no_grad(), statistics_kept(self.encoder, self.generator):
            if not self.joint_pass:
                return self.generator(latents).float()
            read = self._encoder_input(real, detected, observed, noise)
            return self._generate(latents, self.encoder(read))[0]

    def critic_losses(self, inputs: Tensor, present: Tensor,
                      detected: Tensor, observed: Tensor,
                      ids: Sequence[str]) -> dict[str, Tensor]:
        """What the critic minimises, Eq. 2."""
        noise = self._noise(ids)
        real = self.statistics.fill(inputs, present)
        self.statistics.update(inputs, present)
        z = self._latents(real, noise)
        mix = uniform_from_normal(noise(real.new_zeros(len(real))))
        fake = self._fake(z, real, detected, observed, noise)
        on_real, on_fake = self.critic(real), self.critic(fake)
        with statistics_kept(self.critic):
            penalty, slope = objective.gradient_penalty(
                self.critic, real, fake, mix)
        return dict(
            loss_objective=objective.critic_adversarial(
                on_real, on_fake, penalty, self.weights['penalty_weight']),
            mon_gap=(on_real.mean() - on_fake.mean()).detach(),
            mon_slope=slope)

    def generator_losses(self, inputs: Tensor, present: Tensor,
                         detected: Tensor, observed: Tensor,
                         ids: Sequence[str]) -> dict[str, Tensor]:
        """What generator and encoder minimise, Eqs. 1, 3 and 6 to 8."""
        w, noise = self.weights, self._noise(ids)
        real = self.statistics.fill(inputs, present)
        z = self._latents(real, noise)
        encoded = self.encoder(
            self._encoder_input(real, detected, observed, noise))
        fake, again = self._generate(z, encoded)
        with statistics_kept(self.encoder, self.critic):
            recovered = self.encoder(fake).float()
            on_fake, on_again = self.critic(fake), self.critic(again)
        self.step_cache.update(generated=fake, real=real)
        encoded = encoded.float()
        losses = dict(
            loss_adversarial=objective.generator_adversarial(on_fake),
            loss_reconstruction=objective.reconstruction(
                real, again, w['position_weight'], w['velocity_weight'],
                present),
            loss_latents=objective.backward_reconstruction(
                z, recovered, w['latent_weight']),
            loss_mixed=objective.mixed(on_again, w['mixed_weight']))
        if w['prior_weight']:
            losses['loss_prior'] = w['prior_weight'] * \
                objective.prior_distance(encoded)
        with torch.no_grad():
            position = objective.mpjpe(real, again, present).mean()
            losses.update(
                mon_mpjpe=position,
                mon_mpjve=objective.mpjve(real, again, present).mean(),
                mon_latent_norm=self._length(encoded).mean(),
                # What Eq. 10 weighs against each other (trap T3.9).
                mon_score_over_position=on_again.abs().mean() / position)
        return losses

    def _length(self, latents: Tensor) -> Tensor:
        """Norms over that of the prior's shell, (N,)."""
        return latents.norm(dim=1) / self.latent**.5

    # -- use --------------------------------------------------------------
    def reconstruct(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """G(E(x)) and E(x) of whole canonical windows.

        Args:
            inputs (Tensor): (N, 24, 28, 2).

        Returns:
            tuple[Tensor, Tensor]: (N, 24, 28, 2) and (N, latent).
        """
        latents = unwrap(self.encoder)(inputs)
        return unwrap(self.generator)(latents), latents

    def reconstruct_incomplete(self, keypoints: Tensor,
                               observed: Tensor) -> Tensor:
        """G(E(x)) of incomplete windows, aligned to what is observed.

        Args:
            keypoints (Tensor): (N, 24, 28, 2) in any frame.
            observed (Tensor): (N, 24, 28) bool.

        Returns:
            Tensor: (N, 24, 28, 2) in the frame of the input.
        """
        made, _ = self.reconstruct(self.fill(keypoints, observed))
        frame = canonical_frame(keypoints, observed)
        # In the canonical frame: how small is too small to align is known.
        return frame.invert(align(made, frame.apply(
            keypoints).masked_fill(~observed[..., None], 0.), observed))

    def as_completer(self) -> Any:
        """The search of Eqs. 9 and 10 over this model, as it works best."""
        from .completer import JumpsCompleter
        return JumpsCompleter(self)

    def score(self, keypoints: Tensor, mask: Tensor | None = None) -> Tensor:
        """Plausibility of sequences (N, F, 28, 2), F at least 24; (N,).

        See :func:`mirrorpose.models.jumps.prior.score_sequences`.
        """
        return score_sequences(unwrap(self.critic), keypoints, mask,
                               self.statistics.fill)

    def figures(self, inputs: Tensor, present: Tensor, detected: Tensor,
                observed: Tensor) -> dict[str, Tensor]:
        """Held-out figures of a batch, each (N,).

        ``mpjpe``, ``mpjve`` and ``auc`` (area under PCKh over [0, 1], by the
        distance from neck to head top) of G(E(x)); where joints are not
        observed, ``unseen_mpjpe`` and ``unseen_auc`` of
        :meth:`reconstruct_incomplete` (0 for windows without such);
        ``latent_norm``, |E(x)| over sqrt(Z); ``critic_gap``, D(x) -
        D(G(E(x))); ``score_over_position``, trap T3.9.
        """
        real = self.statistics.fill(inputs, present)
        again, latents = self.reconstruct(real)
        critic = unwrap(self.critic)
        on_real, on_again = critic(real), critic(again)
        position = objective.mpjpe(real, again, present)
        out = dict(
            mpjpe=position, mpjve=objective.mpjve(real, again, present),
            auc=self._auc(real, again, present),
            latent_norm=self._length(latents),
            critic_gap=on_real - on_again,
            score_over_position=on_again.abs() / position)
        unseen = present & ~observed
        if bool(unseen.any()):
            guess = self.reconstruct_incomplete(detected, observed)
            out.update(unseen_mpjpe=objective.mpjpe(real, guess, unseen),
                       unseen_auc=self._auc(real, guess, unseen))
        return out

    @staticmethod
    def _auc(real: Tensor, other: Tensor, mask: Tensor) -> Tensor:
        head = (real[:, :, NECK] - real[:, :, HEAD_TOP]).norm(dim=-1)
        apart = (real - other).norm(dim=-1) / head.clamp(
            min=1e-6)[..., None]
        # The integral of [distance <= t] over t in [0, 1].
        area = (1 - apart).clamp(min=0) * mask
        return area.flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1)

    def forward(self, inputs: Tensor, present: Tensor | None = None,
                detected: Tensor | None = None,
                observed: Tensor | None = None, ids: Sequence[str] = (),
                mode: str = 'tensor') -> Any:
        """mmengine's entry.

        ``predict`` gives a dict a window: ``keypoints`` (24, 28, 2), what
        :meth:`reconstruct_incomplete` makes of what is detected, ``id``, and
        ``bound``, the figures that ``MeanBound`` averages. ``tensor`` gives
        the windows of the former alone; ``loss`` is refused, see
        :meth:`AdversarialMixin.loss`.
        """
        if mode == 'loss':
            return self.loss()
        if mode not in ('tensor', 'predict'):
            raise ValueError(f'Jumps has the modes tensor and predict, got '
                             f'{mode!r}')
        whole = torch.ones_like(inputs[..., 0], dtype=torch.bool)
        present = whole if present is None else present
        observed = present if observed is None else observed
        detected = inputs if detected is None else detected
        made = self.reconstruct_incomplete(detected, observed)
        if mode == 'tensor':
            return made
        figures = {k: v.tolist() for k, v in self.figures(
            inputs, present, detected, observed).items()}
        names = list(ids) or [str(i) for i in range(len(inputs))]
        lacks = (present & ~observed).flatten(1).any(1).tolist()
        return [dict(keypoints=made[i], id=names[i],
                     bound={k: v[i] for k, v in figures.items()
                            if lacks[i] or not k.startswith('unseen_')})
                for i in range(len(inputs))]
