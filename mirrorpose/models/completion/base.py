"""What completers share that are trained on batches of windows."""
from __future__ import annotations

from abc import abstractmethod
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor

from ..pose.canonical_frame import canonical_frame
from .batch import SequenceBatch, as_samples, read_batch
from .completer import Completion, frame_error, keep_observed


class TrainedCompleter(BaseModel):
    """A completer of canonical windows as a model of mmengine.

    Attributes:
        keep (bool | str): Observed joints stay, in proportion to their
            confidence.
        modes (tuple[str]): Of :meth:`forward`; ``'loss'`` is for those that
            define :meth:`loss`.
    """

    keep: bool | float
    modes: tuple[str, ...] = ('tensor', 'predict')

    @abstractmethod
    def complete(self, keypoints: Tensor, observed: Tensor,
                 confidence: Tensor | None = None) -> Completion:
        """See :class:`~.completer.Completer`."""

    def loss(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """What is minimised, where anything is."""
        raise NotImplementedError(f'{type(self).__name__} has no loss')

    def _finish(self, estimate: Tensor, variance: Tensor, points: Tensor,
                weight: Tensor, judged: Tensor | None = None,
                kept: Tensor | None = None) -> Completion:
        """An estimate as an answer.

        Args:
            estimate (Tensor): (N, F, 28, 2).
            variance (Tensor): Of its coordinates, (N, F, 28, 2) in any
                shape.
            points (Tensor): (N, F, 28, 2) what was observed.
            weight (Tensor): (N, F, 28) how far that is trusted.
            judged (Tensor, optional): What the error of the windows is of;
                the estimate by default.
            kept (Tensor, optional): (N, F, 28) in [0, 1], how far what was
                observed is kept; ``weight`` by default. With it the answer
                also holds the estimate.
        """
        spread = variance.view_as(estimate).sum(-1).clamp(min=0).sqrt()
        error = frame_error(estimate if judged is None else judged, points,
                            weight)
        if not self.keep:
            return Completion(estimate, spread, error)
        believed = None if kept is None else estimate
        kept = weight if kept is None else kept
        return Completion(keep_observed(estimate, points, kept),
                          spread * (1 - kept), error, believed)

    def forward(self, inputs: Tensor, mode: str = 'tensor',
                **batch: Any) -> Any:
        """Completes a batch; mmengine's entry.

        Args:
            inputs (Tensor): (N, F, 28, 2) truth in any frame, of which
                ``observed`` says what may be looked at.
            mode (str): ``'tensor'`` gives the completed keypoints in the
                frame of the inputs, ``'predict'`` one dict a window for the
                metrics of sequences, ``'loss'`` what :meth:`loss` gives.
            batch (Any): The rest of the batch, see :func:`read_batch`.

        Raises:
            ValueError: Another mode.
        """
        if mode not in self.modes:
            raise ValueError(f'a {type(self).__name__} has the modes '
                             f'{" and ".join(self.modes)}, not {mode!r}')
        data = read_batch(dict(batch, inputs=inputs))
        if mode == 'loss':
            return self.loss(data)
        frame = canonical_frame(data.seen, data.observed)
        done = frame.invert(self.complete(
            frame.apply(data.seen), data.observed,
            data.confidence).keypoints)
        return done if mode == 'tensor' else as_samples(done, data)
