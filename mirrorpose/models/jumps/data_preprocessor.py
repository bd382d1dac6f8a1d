"""Windows from a data loader to the device."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from mmpose.registry import MODELS
from torch import Tensor

from ..pose.canonical_frame import FRAMES, SKELETON

#: What a batch may hold for the model; all else stays behind.
MASKS = ('present', 'observed')


@MODELS.register_module()
class PoseSequencePreprocessor(BaseDataPreprocessor):
    """Collates windows, checks their shape and moves them.

    Gives, as ``PoseSequenceDataset`` does, ``inputs`` and ``detected``
    (N, 24, 28, 2) float32, ``present`` and ``observed`` (N, 24, 28) bool,
    and ``ids`` (list of N strings). Masks that a data set does not give are
    all true, and what is detected is then the truth.
    """

    def forward(self, data: Any, training: bool = False) -> dict[str, Any]:
        """Prepares a batch.

        Args:
            data (dict | Sequence[dict]): A collated batch, or its items. In
                it: ``inputs`` (tensor, or list of tensors), ``detected``,
                ``present`` and ``observed`` alike, ``ids``.
            training (bool): Not used.

        Raises:
            KeyError: There are no ``inputs``.
            ValueError: The windows have another shape, or the masks do not
                fit them.
        """
        if not isinstance(data, Mapping):
            data = {k: [item[k] for item in data] for k in data[0]}
        if 'inputs' not in data:
            raise KeyError(f'a batch of windows holds "inputs", got '
                           f'{sorted(data)}; PoseSequenceDataset gives them')
        inputs = self._stack(data['inputs']).float()
        if inputs.ndim != 4 or tuple(inputs.shape[1:]) != (
                FRAMES, len(SKELETON), 2):
            raise ValueError(
                f'windows are (N, {FRAMES}, {len(SKELETON)}, 2) in '
                f'{SKELETON.name!r}, got {tuple(inputs.shape)}')
        batch: dict[str, Any] = dict(inputs=inputs)
        for name in MASKS:
            given = data.get(name)
            mask = torch.ones_like(inputs[..., 0], dtype=torch.bool) \
                if given is None else self._stack(given) > 0
            if mask.shape != inputs.shape[:-1]:
                raise ValueError(f'{name} is {tuple(mask.shape)}, windows '
                                 f'want {tuple(inputs.shape[:-1])}')
            batch[name] = mask
        detected = data.get('detected')
        if detected is None:
            detected, batch['observed'] = inputs, \
                batch['observed'] & batch['present']
        else:
            detected = self._stack(detected).float()
        if detected.shape != inputs.shape:
            raise ValueError(f'detected is {tuple(detected.shape)}, windows '
                             f'are {tuple(inputs.shape)}')
        batch['inputs'] = inputs.masked_fill(~batch['present'][..., None], 0.)
        batch['detected'] = detected.masked_fill(
            ~batch['observed'][..., None], 0.)
        ids = data.get('ids')
        if ids is None:
            ids = range(len(inputs))
        batch['ids'] = [str(i[0]) if isinstance(i, (list, tuple)) else str(i)
                        for i in ids]
        return batch

    def _stack(self, value: Tensor | Sequence[Tensor]) -> Tensor:
        if not isinstance(value, Tensor):
            value = torch.stack([torch.as_tensor(v) for v in value])
        return value.to(self.device, non_blocking=True)
