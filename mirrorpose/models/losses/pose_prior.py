"""A pose prior as a term of any top-down head's loss."""
from __future__ import annotations

from typing import Any, cast

import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseModule
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..pose import PosePrior, soft_argmax


@MODELS.register_module()
class PosePriorLoss(BaseModule):
    """An ordinary loss, and the implausibility of the predicted pose.

        head=dict(
            type='HeatmapHead', ...,
            loss=dict(
                type='PosePriorLoss', weight=2e-6,
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                prior=dict(type='PoseVAE', ...),
                checkpoint='work_dirs/pose_vae_mocap/epoch_20.pth'))

    It takes what the head gives its loss, whatever that is: maps
    (``HeatmapHead``, ``CPMHead``), which are read by a soft-argmax around
    their peak, or coordinates in [0, 1] (``RegressionHead``, ``RLEHead``).
    The ordinary loss gets everything as it came; the prior's term is
    ``-weight`` times the mean score of all samples, un-annotated ones too,
    for a prior asks no annotation. The score itself is logged as
    ``mon_plausibility``.

    The prior is frozen: it stays in eval mode, without gradients, and its
    weights, which the model's checkpoints hold, stay those of the file.

    Args:
        prior (dict): Config of a :class:`PosePrior` over single poses, of
            the head's joints.
        weight (float): Of the score; the scores of two priors differ in
            scale. With a pose VAE, 1 / (50 K h w) beside ``KeypointMSELoss``
            are MirrorNet's proportions (v_alpha = 0.01).
        loss (dict): Config of the ordinary loss.
        checkpoint (str, optional): File of the trained prior, of it alone
            or of a model that holds it. Read when training starts
            (``init_weights``). Defaults to None: ``prior.init_cfg`` has to
            say where the weights come from, or the prior has none.
        trust (bool): See :func:`mirrorpose.engine.checkpoint.load`.
        temperature (float): Of the soft-argmax. Defaults to 0.05, for maps
            with peak 1.
        radius (int): Cells around the peak that it looks at. Three standard
            deviations of the codec's Gaussians. Defaults to 6.

    Raises:
        TypeError: ``prior`` is none, or one of sequences.
        ValueError: A negative weight, no trained weights, or weights that
            do not fit.
    """

    def __init__(self,
                 prior: dict,
                 weight: float,
                 loss: dict,
                 checkpoint: str | None = None,
                 trust: bool = False,
                 temperature: float = 0.05,
                 radius: int = 6,
                 init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if weight < 0:
            raise ValueError(f'weight must not be negative, got {weight}')
        if temperature <= 0 or radius < 1:
            raise ValueError('temperature must be positive and radius at '
                             f'least 1, got {temperature} and {radius}')
        self.loss = MODELS.build(loss)
        built: Any = MODELS.build(prior)
        name = type(built).__name__
        if not isinstance(built, PosePrior):
            raise TypeError(f'{name} is no pose prior; a PoseVAE is one')
        if built.reads_sequence:
            raise TypeError(f'{name} scores sequences, not single poses')
        self.prior = cast(nn.Module, built)
        if checkpoint is None and not prior.get('init_cfg') \
                and any(True for _ in self.prior.parameters()):
            raise ValueError(
                f'the {name} of PosePriorLoss has no '
                'trained weights, and knows nothing about poses: give '
                'checkpoint=, a file of it or of a model that holds it')
        self.weight, self.checkpoint, self.trust = weight, checkpoint, trust
        self.temperature, self.radius = temperature, radius
        self.prior.requires_grad_(False)
        self.prior.eval()

    def train(self, mode: bool = True) -> PosePriorLoss:
        """The prior stays in eval mode."""
        super().train(mode)
        self.prior.eval()
        return self

    def init_weights(self) -> None:
        """Also reads the prior's checkpoint.

        mmengine calls it after a head has given its convolutions, and so the
        prior's, their initial weights.
        """
        super().init_weights()
        if self.checkpoint is not None:
            load_prior(self.prior, self.checkpoint, self.trust)

    def keypoints(self, output: Tensor) -> Tensor:
        """What the prior reads, from what a head predicts.

        Args:
            output (Tensor): (N, K, h, w) maps or (N, K, 2 or more)
                coordinates, x and y first, as shares of the input's sides.

        Returns:
            Tensor: (N, K, 2) in [-1, 1] over the input, differentiable.

        Raises:
            ValueError: Another shape.
        """
        if output.ndim == 4:
            cells = soft_argmax(output.float(), self.temperature, self.radius)
            h, w = output.shape[-2:]
            # Cell i of w stands for the share i / w (MSRAHeatmap).
            shares = cells / cells.new_tensor([w, h])
        elif output.ndim == 3 and output.shape[-1] >= 2:
            shares = output[..., :2].float()
        else:
            raise ValueError('PosePriorLoss reads maps (N, K, h, w) or '
                             f'coordinates (N, K, 2), got '
                             f'{tuple(output.shape)}')
        skeleton = cast(PosePrior, self.prior).skeleton
        if output.shape[1] != len(skeleton):
            raise ValueError(
                f'the head predicts {output.shape[1]} joints, the prior '
                f'knows the {len(skeleton)} of {skeleton.name!r}')
        size = getattr(self.prior, 'map_size', None)
        if size is not None:
            # It was trained on maps: -1 and 1 are its outer cells.
            cells = shares.new_tensor([size[1], size[0]])
            shares = shares * cells / (cells - 1)
        return 2 * shares - 1

    def forward(self, output: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Scalar loss.

        Args:
            output (Tensor): What the head predicts; see :meth:`keypoints`.
            *args: What else the ordinary loss takes: targets, weights, for
                ``RLELoss`` the deviations.
            **kwargs: The same by name.
        """
        base = self.loss(output, *args, **kwargs)
        prior = cast(PosePrior, self.prior)
        score = prior.score(self.keypoints(output)).mean()
        MessageHub.get_current_instance().update_scalar(
            'train/mon_plausibility', score.detach())
        return base - self.weight * score


def load_prior(prior: nn.Module, filename: str, trust: bool = False) -> None:
    """Gives a prior its weights, from a file of it or of what holds it.

    Args:
        prior (nn.Module): The prior.
        filename (str): The checkpoint. Where several parts of it would fit,
            the one with the shortest name is taken.
        trust (bool): See :func:`mirrorpose.engine.checkpoint.load`.

    Raises:
        FileNotFoundError: No such file.
        ValueError: No part of it fits.
    """
    from ...engine import checkpoint as checkpoints
    held = checkpoints.load(filename, 'cpu', trust)['state_dict']
    mine = {k: v.shape for k, v in prior.state_dict().items()}
    if not mine:
        return
    first = next(iter(mine))
    places = sorted((k[:len(k) - len(first)] for k in held
                     if k.endswith(first)), key=len)
    for place in places:
        part = {k: held.get(place + k) for k in mine}
        if all(isinstance(v, Tensor) and v.shape == mine[k]
               for k, v in part.items()):
            with torch.no_grad():
                prior.load_state_dict(cast(dict, part))
            return
    raise ValueError(
        f'checkpoint {filename} holds no {type(prior).__name__} of this '
        f'config: it has {sorted({k.partition(".")[0] for k in held})}, the '
        f'prior needs {len(mine)} tensors like {first} {tuple(mine[first])}')
