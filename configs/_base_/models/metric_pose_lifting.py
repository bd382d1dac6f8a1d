# Metric pose over 2D joints instead of pixels.
_base_ = ['./metric_pose.py']

model = dict(
    data_preprocessor=dict(_delete_=True, type='KeypointPreprocessor'),
    backbone=dict(_delete_=True, type='PoseEncoder', num_keypoints=17,
                  channels=512, num_blocks=2, dropout=0.1,
                  keypoint_drop=0.05),
    head=dict(in_channels=512, pose=dict(hidden=256),
              # Ours: the hardest negatives drive the embedding to a point
              # (docs/metric_pose.md).
              loss=dict(form='infonce', warm_up=200)),
    # More than there are training subjects does no harm.
    adversary=dict(num_subjects=256),
    # Queries that lack joints, in the same gallery: name the joints here,
    #   test_cfg=dict(hide_joints=dict(
    #       no_left_arm=['left_elbow', 'left_wrist'],
    #       no_legs=['left_knee', 'left_foot', 'right_knee', 'right_foot'])))
    # and the embeddings that are made of the rest in the test,
    #   test_evaluator = [dict(type='PoseRetrieval', query_fields=dict(
    #       no_left_arm='embedding_no_left_arm',
    #       no_legs='embedding_no_legs'))]
    test_cfg=dict())
