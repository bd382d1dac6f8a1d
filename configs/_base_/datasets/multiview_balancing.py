# A real clip of four calibrated cameras and one person. It shows that real
# views and calibrations work; one person cannot show generalisation. The
# last tenths of a clip are no test of anything but the pipeline.
_base_ = ['./synthetic_views.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
image_size = 128
source = dict(_delete_=True, type='TriangulatedClip', clip='balancing',
              image_size=image_size)
held_out = dict(_delete_=True)
views = dict(data_root=data_root, source=source, held_out=held_out)
# 100 frames in 1.7 s: eight instants at least 0.15 s apart, all of them with
# 3D joints.
train_dataloader = dict(
    batch_size=16,
    sampler=dict(groups_per_batch=8, annotated_groups=0, subjects_per_batch=1,
                 gap_seconds=.15),
    dataset=dict(views, part='all', augmentation=dict(flip=.5)))
val_dataloader = dict(dataset=dict(views, part='all', stride=10))
test_dataloader = dict(dataset=dict(views, part='all', stride=10))
