# MPI-INF-3DHP's training subjects, prepared by
# tools/dataset_converters/mpi_inf_3dhp.py --views; S8 is held out, as the
# test set has one camera alone. Written for the documented layout; the data
# were not at hand.
_base_ = ['./synthetic_views.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
annotated = dict(_delete_=True, subjects=['S1'])
image_size = 224
source = dict(
    _delete_=True, type='PreparedViews', folder='mpi_inf_3dhp',
    image_size=image_size,
    command='python tools/dataset_converters/mpi_inf_3dhp.py SOURCE --views')
held_out = dict(_delete_=True, val=['S7'], test=['S8'])
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
val_dataloader = dict(dataset=dict(views))
test_dataloader = dict(dataset=dict(views))
val_evaluator = [
    dict(type='PoseErrors3D', frame='canonical'),
    dict(type='PoseErrors3D', frame='camera'),
    dict(type='PosePCK3D', frame='camera')]
# Poses on all frames that are kept (every 5th of 25 a second), retrieval on
# every 10th frame (spec 4.4). For the frames of a published benchmark:
# metric=dict(type='PoseRetrieval', frame_keys='FOLDER'), without OnFrames.
test_evaluator = [*val_evaluator,
                  dict(type='OnFrames', every=10,
                       metric=dict(type='PoseRetrieval'))]
