"""eta: a skeleton image to keypoints; a head for anybody's config."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.structures import InstanceData
from mmpose.models.heads.base_head import BaseHead
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from torch import Tensor

from mirrorpose.structures import Skeleton

from ..pose.representations import cells_from_normalised
from ..precision import always_float32
from .networks import Encoder, initialise, signed


def expectation(logits: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Mean over one axis, softmax over the other, expected place in it.

    Args:
        logits (Tensor): (N, K, h, w).
        dim (int): The axis whose coordinate is wanted: 3 for x, 2 for y.

    Returns:
        tuple[Tensor, Tensor]: (N, K) in [-1, 1], and the probabilities
        (N, K, w or h).
    """
    p = logits.mean(5 - dim).softmax(-1)
    axis = torch.linspace(-1, 1, p.shape[-1], dtype=p.dtype, device=p.device)
    return p @ axis, p


@MODELS.register_module()
class SkeletonRegressor(BaseHead):
    """Keypoints by the softmax of marginal means (eta of KeypointGAN).

    Of heatmaps at an eighth of the image, the mean over rows gives x, the
    mean over columns y: softmax, then the expectation over linspace(-1, 1).
    (Softmax of a mean, not mean of a softmax; no temperature.) The border
    itself is out of reach (trap T2.9). Computes in float32 whatever the
    autocast (T2.8).

    As mmpose's head it reads the last of the features. A score is how
    narrow the two marginals are, the root of the product of their highest
    probabilities: in (0, 1], not calibrated.

    Args:
        skeleton (Skeleton | str): The joints.
        in_channels (int): Of the skeleton image. Defaults to 1.
        width (int): 32 in the paper (1,181,184 parameters with 32 joints).
            Defaults to 32.
        either_side (bool): On poses alone it learns which joints are a pair,
            not which of the two is left: :meth:`error` counts the nearer
            labelling of each whole pose. Where an image of one channel
            cannot tell the sides, the squared error makes it predict the
            middle of both, and the drawn skeleton loses its limbs; with this
            it keeps them, and calls a side as it likes. Ours, not the
            paper's. Defaults to False.
        decoder: Only None: keypoints need no codec.
        init_cfg (dict, optional): As in mmengine's ``BaseModule``.

    Raises:
        ValueError: A decoder is given.
    """

    decoder = None

    def __init__(self, skeleton: Skeleton | str, in_channels: int = 1,
                 width: int = 32, either_side: bool = False,
                 decoder: None = None,
                 init_cfg: dict | list | None = None) -> None:
        super().__init__(init_cfg)
        if decoder is not None:
            raise ValueError('SkeletonRegressor gives coordinates and needs '
                             f'no decoder, got {decoder!r}')
        self.skeleton = Skeleton.from_name(skeleton) if isinstance(
            skeleton, str) else skeleton
        self.in_channels, self.either_side = in_channels, either_side
        self.out_channels = len(self.skeleton)
        self.network = Encoder(in_channels, len(self.skeleton), width, 'in')
        initialise(self)
        always_float32(self)

    def forward(self, feats: Tensor | Sequence[Tensor]) -> Tensor:
        """Keypoints of skeleton images.

        Args:
            feats (Tensor | Sequence[Tensor]): (N, L, h, w) in [0, 1], or
                features of which this is the last.

        Returns:
            Tensor: (N, K, 2) in [-1, 1], x right, y down.

        Raises:
            ValueError: The image has another number of channels.
        """
        return self._read(feats)[0]

    def _read(self, feats: Tensor | Sequence[Tensor]
              ) -> tuple[Tensor, Tensor]:
        image = feats if isinstance(feats, Tensor) else feats[-1]
        if image.shape[1] != self.in_channels:
            raise ValueError(
                f'SkeletonRegressor reads {self.in_channels} channels, got '
                f'{tuple(image.shape)}: set in_channels')
        image = image if image.dtype == torch.float64 else image.float()
        with torch.autocast(image.device.type, enabled=False):
            logits = self.network(signed(image))[0]
            (x, px), (y, py) = (expectation(logits, d) for d in (3, 2))
        score = (px.amax(-1) * py.amax(-1)).sqrt()
        return torch.stack([x, y], -1), score

    def error(self, keypoints: Tensor, truth: Tensor,
              present: Tensor | None = None) -> Tensor:
        """What it minimises on poses alone, see :func:`coordinate_error`.

        Args:
            keypoints (Tensor): (N, K, 2) as :meth:`forward` gives them.
            truth (Tensor): (N, K, 2) in [-1, 1].
            present (Tensor, optional): (N, K) bool.
        """
        return coordinate_error(
            keypoints, truth, present,
            self.skeleton.flip_indices if self.either_side else None)

    def predict(self, feats: Any, batch_data_samples: Sequence[Any],
                test_cfg: Mapping | None = None) -> list[InstanceData]:
        """Keypoints in pixels of the input, and scores.

        Args:
            feats: As for :meth:`forward`; with ``flip_test`` a list of those
                of the images and of the flipped ones.
            batch_data_samples (list): Not read.
            test_cfg (dict, optional): ``flip_test``.

        Returns:
            list[InstanceData]: ``keypoints`` (1, K, 2) and
            ``keypoint_scores`` (1, K).
        """
        keypoints, scores = self.estimate(feats, test_cfg)
        while not isinstance(feats, Tensor):
            feats = feats[-1]
        h, w = feats.shape[-2:]
        return pack(keypoints, scores, (h, w))

    def estimate(self, feats: Any, test_cfg: Mapping | None = None
                 ) -> tuple[Tensor, Tensor]:
        """Keypoints (N, K, 2) in [-1, 1] and scores (N, K).

        Args:
            feats: As for :meth:`predict`.
            test_cfg (dict, optional): ``flip_test``.
        """
        if not (test_cfg or {}).get('flip_test', False):
            return self._read(feats)
        (keypoints, scores), (other, other_scores) = map(self._read, feats)
        flip = self.skeleton.flip_indices
        mirror = other.new_tensor([-1, 1])
        return ((keypoints + other[:, flip] * mirror) / 2,
                (scores + other_scores[:, flip]) / 2)

    def loss(self, feats: Any, batch_data_samples: Sequence[Any],
             train_cfg: Mapping | None = None) -> dict[str, Tensor]:
        """Squared error to annotated keypoints, for supervised use.

        Args:
            feats: As for :meth:`forward`.
            batch_data_samples (list): ``gt_instance_labels`` of the codec
                ``RegressionLabel``: keypoints over the input size.
            train_cfg (dict, optional): Not read.
        """
        labels = [d.gt_instance_labels for d in batch_data_samples]
        image = feats if isinstance(feats, Tensor) else feats[-1]
        size = image.new_tensor([image.shape[-1], image.shape[-2]])
        truth = torch.cat([x.keypoint_labels for x in labels]).to(size)
        weight = torch.cat([x.keypoint_weights for x in labels]).to(size)
        keypoints = self.forward(feats)
        truth = 2 * truth * size / (size - 1) - 1
        error = (keypoints - truth).square() * weight[..., None]
        return dict(loss_keypoints=error.sum() / (
            2 * weight.sum()).clamp(min=1))


def pack(keypoints: Tensor, scores: Tensor, size: tuple[int, int],
         **others: Tensor) -> list[InstanceData]:
    """Predictions as mmpose's estimators hand them on.

    Args:
        keypoints (Tensor): (N, K, 2) in [-1, 1].
        scores (Tensor): (N, K).
        size (tuple[int, int]): (h, w) of the input in pixels.
        **others (Tensor): More keypoints (N, K, 2), by name.

    Returns:
        list[InstanceData]: In pixels of the input, one person each.
    """
    arrays = {name: to_numpy(cells_from_normalised(k.float(), size))
              for name, k in dict(others, keypoints=keypoints).items()}
    judged = to_numpy(scores.float())
    return [InstanceData(keypoint_scores=judged[i:i + 1], **{
        name: a[i:i + 1] for name, a in arrays.items()})
        for i in range(len(judged))]


def coordinate_error(keypoints: Tensor, truth: Tensor,
                     present: Tensor | None = None,
                     flip_indices: Sequence[int] | None = None) -> Tensor:
    """Mean squared error of the coordinates that are known.

    Args:
        keypoints (Tensor): (N, K, 2).
        truth (Tensor): (N, K, 2).
        present (Tensor, optional): (N, K) bool; all by default.
        flip_indices (Sequence[int], optional): Mirror partner of each joint:
            of each pose the labelling of sides counts that is nearer.

    Returns:
        Tensor: Scalar.
    """
    if present is None:
        present = torch.ones_like(truth[..., 0])

    def apart(order: Sequence[int] | slice) -> Tensor:
        error = (keypoints - truth[:, order]).square().sum(-1)
        return (error * present[:, order]).sum(1)

    error = apart(slice(None))
    if flip_indices is not None:
        error = torch.minimum(error, apart(list(flip_indices)))
    return error.sum() / (2 * present.sum()).clamp(min=1)
