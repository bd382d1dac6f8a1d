"""Pictures of predictions on the crops that a model has read."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmpose.engine.hooks import PoseVisualizationHook
from mmpose.registry import HOOKS
from mmpose.structures import PoseDataSample, merge_data_samples

__all__ = ['CropVisualizationHook']

#: Smaller crops are enlarged to about this side.
_SIDE = 256


@HOOKS.register_module()
class CropVisualizationHook(PoseVisualizationHook):
    """As mmpose's, for samples whose keypoints are pixels of the input.

    mmpose reads the file ``img_path`` and draws there; frames of clips are
    cut out, scaled and masked, and videos and drawn worlds have no such
    file. Small crops are enlarged. In validation the first sample of every
    ``interval``-th batch is drawn, in tests every sample.

    Args:
        enable (bool): Defaults to False.
        interval (int): Of validation batches. Defaults to 50.
        kpt_thr (float): Joints of less score are not drawn. Defaults to 0.
        out_dir (str, optional): Folder below the run's for the pictures of
            a test. Defaults to None: they go to the visualizer alone.
        kwargs: As mmpose's hook.
    """

    def __init__(self, enable: bool = False, interval: int = 50,
                 kpt_thr: float = 0., out_dir: str | None = None,
                 **kwargs: Any) -> None:
        super().__init__(enable, interval, kpt_thr, out_dir=out_dir, **kwargs)

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any,
                       outputs: Sequence[PoseDataSample]) -> None:
        """Draws the first sample of a batch now and then."""
        step = runner.iter + batch_idx
        if self.enable and step % self.interval == 0:
            self._draw(runner.val_evaluator, data_batch['inputs'][0],
                       outputs[0], 'val_img', step, None)

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any,
                        outputs: Sequence[PoseDataSample]) -> None:
        """Draws every sample."""
        if not self.enable:
            return
        for image, sample in zip(data_batch['inputs'], outputs):
            self._test_index += 1
            file = None
            if self.out_dir is not None:
                name = str(sample.get('id', self._test_index))
                file = Path(runner.work_dir) / runner.timestamp \
                    / self.out_dir / (name.replace('/', '_').replace(
                        ':', '_') + '.png')
                file.parent.mkdir(parents=True, exist_ok=True)
            self._draw(runner.test_evaluator, image, sample, 'test_img',
                       self._test_index, file)

    def _draw(self, evaluator: Any, image: torch.Tensor,
              sample: PoseDataSample, name: str, step: int,
              file: Path | None) -> None:
        """One picture; ``image`` is (3, h, w) uint8 BGR."""
        pixels = image.permute(1, 2, 0).cpu().numpy()[..., ::-1]
        zoom = max(round(_SIDE / max(pixels.shape[:2])), 1)
        pixels = np.ascontiguousarray(pixels.repeat(zoom, 0).repeat(zoom, 1))
        drawn = merge_data_samples([sample.clone()])
        people = drawn.pred_instances
        for key in ('keypoints', 'bboxes'):
            if key in people:
                # From centre to centre of pixels, whatever the size.
                setattr(people, key, (np.asarray(people[key]) + .5) * zoom
                        - .5)
        self._visualizer.set_dataset_meta(evaluator.dataset_meta)
        self._visualizer.add_datasample(
            name, pixels, data_sample=drawn, draw_gt=False, draw_bbox=False,
            draw_heatmap=False, show=self.show, wait_time=self.wait_time,
            kpt_thr=self.kpt_thr, out_file=None if file is None else
            str(file), step=step)
