"""Held-out figures of a sub-network that predicts no keypoints."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS


@METRICS.register_module()
class MeanBound(BaseMetric):
    """Mean over samples of every figure in their ``bound`` dict.

    Those of the models in :mod:`mirrorpose.models.mirrornet.pretraining`:
    terms of a bound in nats, mask IoU, tests of trust.
    """

    default_prefix = 'bound'

    def process(self, data_batch: object,
                data_samples: Sequence[dict]) -> None:
        """Keeps one dict a sample."""
        for sample in data_samples:
            if 'bound' not in sample:
                raise ValueError(
                    'MeanBound averages the dict "bound" of each sample, '
                    'which this model does not give; use a metric of poses')
            self.results.append(dict(sample['bound']))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Averages."""
        return self.calculate(results)

    @staticmethod
    def calculate(results: Sequence[dict[str, float]]) -> dict[str, float]:
        """Mean of every key over samples.

        Args:
            results (Sequence[dict]): One dict a sample. A key that some
                lack is averaged over the others.
        """
        if not results:
            raise ValueError('no sample was evaluated')
        return {k: float(np.mean([r[k] for r in results if k in r]))
                for k in dict.fromkeys(k for r in results for k in r)}
