"""MirrorNet's sub-networks trained on their own (Section 3.4).

Each model names its children as MirrorNet does, so that a checkpoint's
prefix is the interface between the stages. The pose recognizer's model is
:class:`mirrorpose.models.mirrornet.PoseRecognition`.
"""
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmpose.registry import MODELS
from mmpose.utils.typing import SampleList
from torch import Tensor

from ..pose.probability import SampleNoise
from . import objective
from .batch import PoseBatch, gather, sample_id, sample_keys


class SubnetworkTraining(BaseModel):
    """Base of the models that train one sub-network from mmpose's batches.

    Args:
        data_preprocessor (dict, optional): As in mmpose's estimators.
        metainfo, train_cfg, test_cfg: Accepted so that the configs of the
            stages can share what they give to every model; not used.
    """

    def __init__(self,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None,
                 metainfo: dict | None = None,
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None) -> None:
        if isinstance(data_preprocessor, dict):
            data_preprocessor = MODELS.build(data_preprocessor)
        super().__init__(data_preprocessor, init_cfg)

    def loss(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Losses of a batch."""
        raise NotImplementedError

    def score(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Held-out figures, each (N,)."""
        raise NotImplementedError

    def forward(self,
                inputs: Tensor,
                data_samples: SampleList,
                mode: str = 'loss') -> Any:
        """mmengine's entry: ``loss`` or ``predict``.

        ``predict`` gives the data samples back with a dict ``bound`` of the
        figures that ``MeanBound`` averages.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode != 'predict':
            raise ValueError(f'{type(self).__name__} has modes loss and '
                             f'predict, got {mode!r}')
        figures = self.score(inputs, data_samples)
        for i, sample in enumerate(data_samples):
            sample.set_field({k: float(v[i]) for k, v in figures.items()},
                             'bound')
        return data_samples


def _negative(bound: objective.Bound, batch: PoseBatch) -> dict[str, Tensor]:
    scale = batch.pose.numel()
    return {f'loss_{k}': -v.sum() / scale for k, v in bound.items()}


def total(bound: objective.Bound) -> Tensor:
    """Sum of the terms of a bound, (N,) nats."""
    return torch.stack(list(bound.values())).sum(0)


@MODELS.register_module()
class PoseAutoencoding(SubnetworkTraining):
    """Trains the pose VAE on annotated poses (Eq. 34).

    Args:
        pose_vae (dict): Config of a :class:`PoseVAE`.
    """

    def __init__(self, pose_vae: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pose_vae = MODELS.build(pose_vae)

    def loss(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Negative bound per heatmap cell, term by term."""
        batch = gather(inputs, samples, len(self.pose_vae.skeleton))
        out = self.pose_vae(batch.pose)
        return _negative(objective.pose_bound(batch.pose, out,
                                              present=batch.present), batch)

    def score(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Terms of the bound in nats, and what ignoring z would give.

        ``explained`` is the share of the maps' squared sum that the
        reconstruction explains: 0 says that the latent has collapsed.
        """
        batch = gather(inputs, samples, len(self.pose_vae.skeleton))
        out = self.pose_vae(batch.pose, SampleNoise(sample_keys(samples), 0))
        terms = objective.pose_bound(batch.pose, out, present=batch.present)
        present = batch.present[..., None, None]
        average = batch.pose.mean(0, keepdim=True)
        left = ((batch.pose - out.mean)**2 * present).flatten(1).sum(1)
        all_ = ((batch.pose - average)**2 * present).flatten(1).sum(1)
        return dict(terms, bound=total(terms),
                    explained=1 - left / all_.clamp(min=1e-6))


@MODELS.register_module()
class ImageAutoencoding(SubnetworkTraining):
    """Trains the image VAE given annotated poses (Eq. 31).

    Args:
        image_vae (dict): Config of an :class:`ImageVAE`.
        mask_estimator (dict): Config of a trained :class:`MaskEstimator`;
            it is frozen here.
    """

    def __init__(self, image_vae: dict, mask_estimator: dict,
                 **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_vae = MODELS.build(image_vae)
        self.mask_estimator = MODELS.build(mask_estimator)
        self.mask_estimator.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> ImageAutoencoding:
        """The mask estimator stays in eval mode."""
        super().train(mode)
        if hasattr(self, 'mask_estimator'):
            self.mask_estimator.eval()
        return self

    def _mask(self, batch: PoseBatch) -> Tensor:
        raw = self.mask_estimator(batch.image, batch.pose)
        return self.mask_estimator.sharpen(raw)

    def loss(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Negative bound per heatmap cell, term by term."""
        batch = gather(inputs, samples)
        out = self.image_vae(batch.image, batch.pose, self._mask(batch))
        return _negative(objective.image_bound(batch.image, out), batch)

    def score(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Terms of the bound in nats, and the test of trust.

        ``swap_gap`` is what a neighbour's pose costs in fidelity (trap T1.8):
        near 0, the generator does not read the pose.
        """
        batch = gather(inputs, samples)
        mask = self._mask(batch)
        noise = SampleNoise(sample_keys(samples), 0)
        out = self.image_vae(batch.image, batch.pose, mask, noise)
        terms = objective.image_bound(batch.image, out)
        noise.draws = 0
        other = self.image_vae(batch.image, batch.pose.roll(1, 0), mask,
                               noise)
        gap = terms['fidelity'] - objective.fidelity(batch.image, other)
        return dict(terms, bound=total(terms), swap_gap=gap)


@MODELS.register_module()
class MaskEstimation(SubnetworkTraining):
    """Trains the mask estimator on silhouettes (Section 3.4), by MSE.

    Args:
        mask_estimator (dict): Config of a :class:`MaskEstimator`.
    """

    def __init__(self, mask_estimator: dict, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_estimator = MODELS.build(mask_estimator)

    def _gather(self, inputs: Tensor,
                samples: SampleList) -> tuple[PoseBatch, Tensor]:
        batch = gather(inputs, samples)
        if batch.silhouette is None:
            missing = [sample_id(d) for d in samples
                       if 'silhouette' not in d.gt_fields]
            raise ValueError(
                f'{len(missing)} samples have no silhouette (the first is '
                f'{missing[0]}): the pipeline needs LoadSilhouette after '
                'LoadImage and SplitSilhouette after GenerateTarget')
        return batch, batch.silhouette

    def loss(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Mean squared error on {0, 1} masks."""
        batch, truth = self._gather(inputs, samples)
        raw = self.mask_estimator(batch.image, batch.pose)
        return dict(loss_mask=F.mse_loss(raw, truth))

    def score(self, inputs: Tensor, samples: SampleList) -> dict[str, Tensor]:
        """Squared error, and intersection over union at 0.5."""
        batch, truth = self._gather(inputs, samples)
        raw = self.mask_estimator(batch.image, batch.pose)
        mine, real = (raw > 0.5).flatten(1), (truth > 0.5).flatten(1)
        union = (mine | real).sum(1).clamp(min=1)
        return dict(squared_error=((raw - truth)**2).flatten(1).mean(1),
                    iou=(mine & real).sum(1) / union)
