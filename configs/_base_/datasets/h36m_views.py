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
train_dataloader = dict(dataset=dict(views, annotated=annotated))
val_dataloader = dict(dataset=dict(views, stride=320))
# Every 64th frame of the video; frames are kept at steps of 5.
test_dataloader = dict(dataset=dict(views, stride=320))
val_evaluator = [
    dict(type='PoseErrors3D', frame='canonical', by='action'),
    dict(type='PoseErrors3D', frame='camera', by='action')]
test_evaluator = [*val_evaluator, dict(type='PoseRetrieval')]
