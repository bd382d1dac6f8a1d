# From images of the embedded world in two steps, which a small network
# learns in minutes: 2D joints by a recognizer, 3D from what it found. First
#   python tools/train.py configs/recognizer_views_synthetic.py
#   python tools/detect_views.py configs/metric_pose_synthetic.py \
#       configs/recognizer_views_synthetic.py \
#       work_dirs/recognizer_views_synthetic/epoch_16.pth \
#       work_dirs/recognizer_views_synthetic/synthetic.npz
_base_ = ['./_base_/models/metric_pose_lifting.py',
          './_base_/schedules/metric_pose_short.py',
          './_base_/datasets/synthetic_views.py']

found = dict(
    inputs='keypoints',
    detections='work_dirs/recognizer_views_synthetic/synthetic.npz')
augmentation = dict(flip=0.5, scale=0., shift=0., colour=0., erase=0.)
# Ours: the calibrated cameras tell the poses of un-annotated instants.
train_dataloader = dict(dataset=dict(found, augmentation=augmentation,
                                     triangulated=True))
val_dataloader = dict(dataset=found)
test_dataloader = dict(dataset=found)

# In float32, as the other lifting config.
optim_wrapper = dict(type='OptimWrapper')
