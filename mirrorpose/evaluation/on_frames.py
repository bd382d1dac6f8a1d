"""A metric on some of the frames that a test reads."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS


@METRICS.register_module()
class OnFrames(BaseMetric):
    """Another metric, on every n-th frame alone.

    So one test runs each image through the network once, and every metric
    has the frames that its protocol asks for. Names of results are the
    metric's own.

    Args:
        metric (dict): Config of the metric.
        every (int): Samples whose metainfo ``frame`` is a multiple of it
            count.

    Raises:
        ValueError: ``every`` is below 1.
    """

    def __init__(self, metric: dict, every: int) -> None:
        if every < 1:
            raise ValueError(f'every must be at least 1, got {every}')
        self.metric: BaseMetric = METRICS.build(metric)
        self.every = every
        super().__init__(self.metric.collect_device, self.metric.prefix)

    @property
    def dataset_meta(self) -> dict | None:
        """The data set's, handed on."""
        return self.metric.dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        self.metric.dataset_meta = meta

    def process(self, data_batch: Any,
                data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Hands on what counts.

        Args:
            data_batch (Any): Handed on.
            data_samples (Sequence[dict]): With the metainfo ``frame``.

        Raises:
            ValueError: A sample does not say its frame.
        """
        for sample in data_samples:
            if 'frame' not in sample:
                raise ValueError(
                    f'sample {sample.get("id")!r} does not say its frame: '
                    'OnFrames chooses by the metainfo "frame"; list it in '
                    'the meta_keys of PackPoseInputs')
            # One result a sample, counted or not: results of several
            # processes are put together by their places.
            self.metric.results = []
            if int(sample['frame']) % self.every == 0:
                self.metric.process(data_batch, [sample])
            self.results.append(self.metric.results)

    def compute_metrics(self, results: list) -> dict[str, Any]:
        """The metric of what counts.

        Raises:
            ValueError: Nothing does.
        """
        counted = [one for its in results for one in its]
        if not counted:
            raise ValueError(
                f'no frame of {len(results)} samples is a multiple of '
                f'{self.every}: look at the stride of the test data set')
        return self.metric.compute_metrics(counted)
