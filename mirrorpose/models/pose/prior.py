"""What the toolkit asks of anything that knows how people pose."""
from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from mirrorpose.structures import Skeleton


@runtime_checkable
class PosePrior(Protocol):
    """Scores poses by plausibility.

    What a prior draws from keypoints inside (heatmaps, a skeleton image, a
    grid of body parts) is its own affair. Scores are comparable within one
    prior, differentiable in the keypoints, and not calibrated.

    Attributes:
        skeleton (Skeleton): The joints, in order, that it reads.
        reads_sequence (bool): It reads (N, F, K, 2) instead of (N, K, 2).
    """

    skeleton: Skeleton
    reads_sequence: bool

    def score(self, keypoints: Tensor, mask: Tensor | None = None) -> Tensor:
        """Plausibility, higher is better.

        Args:
            keypoints (Tensor): (N, K, 2) or (N, F, K, 2), normalised to
                [-1, 1] over the input crop, x right, y down.
            mask (Tensor, optional): (N, K) or (N, F, K), 1 = present. The
                coordinates of absent joints do not matter.

        Returns:
            Tensor: (N,).
        """
        ...


def check_keypoints(keypoints: Tensor, mask: Tensor | None,
                    skeleton: Skeleton, sequence: bool) -> Tensor:
    """Validates what a prior was given and fills absent joints with 0.

    Returns:
        Tensor: keypoints with the absent joints at 0.

    Raises:
        ValueError: Wrong rank, joint count or mask shape, or a present
            joint that is not finite.
    """
    rank = 4 if sequence else 3
    form = '(N, F, K, 2)' if sequence else '(N, K, 2)'
    if keypoints.ndim != rank or keypoints.shape[-1] != 2:
        raise ValueError(f'a {skeleton.name!r} prior reads {form} keypoints, '
                         f'got {tuple(keypoints.shape)}')
    if keypoints.shape[-2] != len(skeleton):
        raise ValueError(f'{keypoints.shape[-2]} joints were given to a '
                         f'prior over {skeleton.name!r} with {len(skeleton)}:'
                         ' convert them with Skeleton.convert')
    if mask is not None:
        if mask.shape != keypoints.shape[:-1]:
            raise ValueError(f'mask has shape {tuple(mask.shape)}, keypoints '
                             f'want {tuple(keypoints.shape[:-1])}')
        keypoints = keypoints.masked_fill(mask[..., None] <= 0, 0.)
    if not bool(keypoints.detach().isfinite().all()):
        raise ValueError('keypoints hold NaN or infinite coordinates at '
                         'joints that the mask calls present')
    return keypoints
