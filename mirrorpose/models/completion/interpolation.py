"""Linear interpolation in time, and the mean pose for what is never seen."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..pose.filling import interpolate_in_time
from .completer import (
    SKELETON,
    Completion,
    check_windows,
    frame_error,
    keep_observed,
)

#: Heights (y, down) of the joints' means in canonical windows of CMU's and
#: Bandai-Namco's motions under cameras from all sides, both sources weighted
#: alike, left and right averaged. The means of x are 0 (within 0.004).
MEAN_HEIGHT: dict[str, float] = dict(
    pelvis=0., spine=-.112, spine2=-.173, spine3=-.214, spine4=-.27,
    neck=-.339, head=-.402, head_top=-.479, clavicle=-.297, shoulder=-.315,
    elbow=-.168, wrist=-.101, hand=-.096, hip=.049, knee=.348, ankle=.645,
    foot=.698, toe=.713)


def tree_distances() -> Tensor:
    """Limbs between joints, (28, 28) int64.

    Raises:
        ValueError: The limbs do not connect all joints.
    """
    count = len(SKELETON)
    far = count + 1
    distance = torch.full((count, count), far, dtype=torch.int64)
    distance.fill_diagonal_(0)
    for a, b in SKELETON.limb_indices:
        distance[a, b] = distance[b, a] = 1
    for k in range(count):  # Floyd and Warshall
        distance = torch.minimum(distance,
                                 distance[:, k, None] + distance[k])
    if int(distance.max()) >= far:
        raise ValueError(f'the limbs of {SKELETON.name!r} leave joints apart')
    return distance


@MODELS.register_module()
class InterpolationCompleter(nn.Module):
    """Linear in time; then the mean pose's offset from the nearest joints.

    A joint that is seen in some frame of the window is interpolated between
    its frames and held before and after them. One that is never seen stands
    beside the joints that are nearest to it along the limbs (the parent
    where that is seen; equally near ones are averaged) as in the mean pose
    (spec 3.1, [DERIVED]). Learns nothing: the rival of everything that does.

    Args:
        mean_pose (Sequence, optional): (28, 2) in the canonical frame.
            Defaults to that of motion capture, seen from all sides.
    """

    mean_pose: Tensor
    distance: Tensor

    def __init__(self,
                 mean_pose: Sequence[Sequence[float]] | None = None) -> None:
        super().__init__()
        if mean_pose is None:
            mean_pose = [[0., MEAN_HEIGHT[j.split('_', 1)[1] if j.startswith(
                ('left_', 'right_')) else j]] for j in SKELETON.joints]
        pose = torch.tensor(mean_pose)
        if pose.shape != (len(SKELETON), 2):
            raise ValueError(f'mean_pose must be ({len(SKELETON)}, 2), got '
                             f'{tuple(pose.shape)}')
        self.register_buffer('mean_pose', pose.float())
        self.register_buffer('distance', tree_distances(), persistent=False)

    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """See :class:`~.completer.Completer`; linear in the keypoints."""
        points, observed, weight = check_windows(keypoints, observed,
                                                 confidence)
        filled = interpolate_in_time(points, observed)
        known = observed.any(1)  # (N, K)
        far = torch.where(known[:, None], self.distance, len(SKELETON) + 1)
        nearest = (far == far.amin(2, keepdim=True)) & known[:, None]
        share = nearest.to(points)
        share = share / share.sum(2, keepdim=True).clamp(min=1)
        mean = self.mean_pose.to(points)
        beside = torch.einsum('njk,nfkc->nfjc', share,
                              filled - mean) + mean
        estimate = torch.where(known[:, None, :, None], filled, beside)
        # An observation of low confidence is no better than interpolation
        # between others, of which there may be none: it is kept.
        out = keep_observed(estimate, points, observed.to(points))
        return Completion(out, None, frame_error(estimate, points, weight))
