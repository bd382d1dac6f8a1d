# Human3.6M, prepared by tools/dataset_converters/h36m.py. Labels of S1 alone
# (spec 4.3, as Rhodin et al.); S9 and S11 are the test. Written for the
# documented layout; the data were not at hand.
_base_ = ['./synthetic_views.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
annotated = dict(_delete_=True, subjects=['S1'])
image_size = 224
source = dict(_delete_=True, type='PreparedViews', folder='h36m',
              image_size=image_size)
held_out = dict(_delete_=True, val=['S8'], test=['S9', 'S11'])
views = dict(data_root=data_root, source=source, held_out=held_out)
# Spec 4.3: 64 pairs, 16 of each of four people, and 32 labelled images.
groups_per_batch, annotated_groups = 64, 16
train_dataloader = dict(
    batch_size=_base_.views_per_group * (groups_per_batch
                                         + annotated_groups),
    sampler=dict(groups_per_batch=groups_per_batch,
                 annotated_groups=annotated_groups),
    dataset=dict(views, annotated=annotated,
                 augmentation=dict(flip=.5)))
# Frames of the videos, 50 a second: poses on every 64th, which the converter
# keeps beside every 5th; retrieval on every 10th (spec 4.3, 4.4). mmpose's
# script keeps every 5th alone, so there every 320th is left for poses.
pose_frames, retrieval_frames = 64, 10
val_dataloader = dict(dataset=dict(views, stride=pose_frames))
test_dataloader = dict(
    dataset=dict(views, stride=[pose_frames, retrieval_frames]))
val_evaluator = [
    dict(type='PoseErrors3D', frame='canonical', by='action'),
    dict(type='PoseErrors3D', frame='camera', by='action')]
# For the frames of a published benchmark: stride=1 above, and
# dict(type='PoseRetrieval', frame_keys='FOLDER') without OnFrames.
test_evaluator = [
    *[dict(type='OnFrames', every=pose_frames, metric=metric)
      for metric in val_evaluator],
    dict(type='OnFrames', every=retrieval_frames,
         metric=dict(type='PoseRetrieval'))]
