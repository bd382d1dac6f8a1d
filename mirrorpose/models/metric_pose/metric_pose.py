"""3D pose from one image, with few labels and many synchronised views."""
from __future__ import annotations

import torch
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import InstanceList, PixelDataList, SampleList
from torch import Tensor

from ..backbones.pose_encoder import PoseEncoder
from ..heads.embedding_head import Embedding
from ..pose.gathering import joint_mean
from .batch import MetricPoseLabels, read_labels
from .heads import MetricPoseHead
from .hiding import hidden_joints, without_joints


@MODELS.register_module()
class MetricPoseRegressor(TopdownPoseEstimator):
    """An embedding of poses that is alike from every view, and 3D from it.

    A reconstruction of Mitra et al., arXiv 1908.05293, whose text beyond the
    abstract was not available:

        L = L_pose(annotated) + L_rotation(annotated)
            + w_m L_metric(all pairs of views) + w_id L_id(all)         (M6)

    One forward pass takes annotated and other images together (their batch
    statistics are one). With several processes the gradient is that of one
    with the joint batch, but for batch statistics. ``backbone`` (with
    ``neck``) and ``head`` are all that runs at test time.

    Args:
        backbone (dict): Any of mmpose, or a ``PoseEncoder`` of 2D joints.
        head (dict): Config of a :class:`MetricPoseHead`; it holds w_m, the
            ``loss_weight`` of its ``loss``.
        neck (dict, optional): Defaults to None.
        adversary (dict, optional): Config of an ``IdentityAdversary``; it
            holds w_id. Defaults to None: no adversary.
        consistency_weight (float): Of the distance between the poses, turned
            to the world by the cameras' calibration, that are predicted from
            two views of one instant; in units of 100 mm. Needs
            ``extrinsics`` in the labels; counts only calibrated pairs, and
            no labels. Defaults to 0.
        test_cfg (dict, optional): ``hide_joints``, a mapping of names to
            lists of joints, asks for further embeddings, of the 2D input
            without these joints: ``pred_instances.embedding_NAME``, which
            ``PoseRetrieval`` searches with (``query_fields``). Otherwise as
            in mmpose's ``TopdownPoseEstimator``.
        train_cfg, data_preprocessor, init_cfg, metainfo: As there.

    Raises:
        TypeError: The head is no MetricPoseHead, or joints are to be hidden
            from a backbone that reads images.
        ValueError: A negative weight, or joints that there are not.
    """

    def __init__(self,
                 backbone: dict,
                 head: dict,
                 neck: dict | None = None,
                 adversary: dict | None = None,
                 consistency_weight: float = 0.,
                 train_cfg: dict | None = None,
                 test_cfg: dict | None = None,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list | None = None,
                 metainfo: dict | None = None) -> None:
        super().__init__(backbone, neck, head, train_cfg, test_cfg,
                         data_preprocessor, init_cfg, metainfo)
        if not isinstance(self.head, MetricPoseHead):
            raise TypeError('MetricPoseRegressor has a MetricPoseHead, got '
                            f'{type(self.head).__name__}')
        if consistency_weight < 0:
            raise ValueError('consistency_weight must not be negative, got '
                             f'{consistency_weight}')
        self.consistency_weight = consistency_weight
        self.adversary = None if adversary is None else MODELS.build(
            dict(dict(in_channels=self.head.embedding_dim), **adversary))
        self.hidden_joints()

    # -- training ---------------------------------------------------------
    def loss(self, inputs: Tensor,
             data_samples: SampleList) -> dict[str, Tensor]:
        """M6 and what is logged beside it.

        Raises:
            ValueError: An empty batch, or labels that do not fit, see
                :func:`read_labels`.
        """
        if not len(data_samples):
            raise ValueError('the batch is empty')
        embedding = self.head.embedding(self.extract_feat(inputs))
        labels = read_labels(data_samples, len(self.head.skeleton),
                             embedding.raw.device)
        losses = self.head.losses(embedding, labels)
        if self.adversary is not None:
            losses.update(self.adversary.loss(embedding.raw, labels.subject))
        if self.consistency_weight:
            losses.update(self.consistency(embedding, labels))
        return losses

    def consistency(self, embedding: Embedding,
                    labels: MetricPoseLabels) -> dict[str, Tensor]:
        """Poses of two calibrated views agree in the world.

        Returns:
            dict[str, Tensor]: ``loss_consistency``, and
            ``mon_disagreement``, the mean distance of joints in mm.
        """
        # Row vectors: x_camera = x_world R^T.
        world = self.head.output(embedding).camera @ labels.extrinsics
        a, b = labels.views.positives().triu(1).nonzero(as_tuple=True)
        both = labels.calibrated[a] & labels.calibrated[b]
        apart = ((world[a] - world[b]).square().sum(-1) + 1e-6).sqrt()
        each = apart.mean(1)
        with torch.no_grad():
            mean = (each * both).sum() / both.sum().clamp(min=1)
        return dict(
            loss_consistency=self.consistency_weight * joint_mean(
                each / 100., both),
            mon_disagreement=mean)

    # -- use --------------------------------------------------------------
    def hidden_joints(self) -> dict[str, list[int]]:
        """What ``test_cfg.hide_joints`` asks for, as indices."""
        found = hidden_joints((self.test_cfg or {}).get('hide_joints'),
                              self.head.skeleton)
        if found and not isinstance(self.backbone, PoseEncoder):
            raise TypeError(
                'hide_joints takes joints out of 2D poses, which a '
                f'PoseEncoder reads; {type(self.backbone).__name__} reads '
                'images')
        if found and self.backbone.num_keypoints != len(self.head.skeleton):
            raise ValueError(
                f'hide_joints names joints of {self.head.skeleton.name!r}, '
                f'but the backbone reads {self.backbone.num_keypoints}')
        return found

    def predict(self, inputs: Tensor,
                data_samples: SampleList) -> SampleList:
        """Poses, embeddings, and those without ``hide_joints``."""
        out = super().predict(inputs, data_samples)
        for name, joints in self.hidden_joints().items():
            units = to_numpy(self.head.embedding(self.extract_feat(
                without_joints(inputs, joints))).unit.float())
            for sample, unit in zip(out, units):
                sample.pred_instances.set_field(unit[None],
                                                f'embedding_{name}')
        return out

    def add_pred_to_datasample(self, batch_pred_instances: InstanceList,
                               batch_pred_fields: PixelDataList | None,
                               batch_data_samples: SampleList) -> SampleList:
        """Adds predictions; poses in mm have no pixels to be turned into.

        ``metainfo['keypoints_frame']`` says in which frame
        ``pred_instances.keypoints`` are: the camera's.
        """
        for one, sample in zip(batch_pred_instances, batch_data_samples):
            truth = sample.get('gt_instances', None)
            for key in ('bboxes', 'bbox_scores'):
                if truth is not None and key in truth:
                    one.set_field(truth[key], key)
            one.keypoints_visible = one.keypoint_scores
            sample.pred_instances = one
            sample.set_metainfo(dict(keypoints_frame='camera'))
        return batch_data_samples
