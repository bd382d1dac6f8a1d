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
train_dataloader = dict(dataset=dict(views, annotated=annotated))
val_dataloader = dict(dataset=dict(views))
test_dataloader = dict(dataset=dict(views))
val_evaluator = [
    dict(type='PoseErrors3D', frame='canonical'),
    dict(type='PoseErrors3D', frame='camera'),
    dict(type='PosePCK3D', frame='camera')]
test_evaluator = [*val_evaluator, dict(type='PoseRetrieval')]
