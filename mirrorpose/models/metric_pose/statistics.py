"""The statistics by which a metric pose head standardises its targets."""
from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmpose.registry import HOOKS

from .heads import MetricPoseHead


@HOOKS.register_module()
class PoseStatistics(Hook):
    """Hands the training poses' mean and deviation to the head.

    Once, before training: a head that has some, from a checkpoint, keeps
    them, since its network was trained with them. Every process reads the
    same data set. Without this hook the head scales all axes alike.

    The training data set has to offer ``pose_statistics()``, a pair of
    (K, 3) arrays in mm, of annotated canonical poses.
    """

    def before_train(self, runner: Any) -> None:
        """Looks for the head and the data set.

        Raises:
            TypeError: The model has no MetricPoseHead, or the data set no
                ``pose_statistics``.
        """
        model = runner.model.module if is_model_wrapper(runner.model) \
            else runner.model
        head = getattr(model, 'head', None)
        if not isinstance(head, MetricPoseHead):
            raise TypeError('PoseStatistics serves models whose head is a '
                            f'MetricPoseHead, got {type(head).__name__}')
        if bool(head.pose.fitted):
            return
        dataset = runner.train_dataloader.dataset
        while not hasattr(dataset, 'pose_statistics') and hasattr(
                dataset, 'dataset'):
            dataset = dataset.dataset
        if not hasattr(dataset, 'pose_statistics'):
            raise TypeError(
                f'{type(dataset).__name__} has no pose_statistics(): take '
                'the hook PoseStatistics out of custom_hooks, or set '
                "head.pose.pose_std")
        head.pose.fit(*dataset.pose_statistics())
