# Synchronised views of the embedded world: no files, every label known. 48
# people in performances of their own, in one laboratory, as Human3.6M's are,
# in everyday actions and in suits whose left and right differ in colour. (The
# harder case: place='clip', suits=False, and the world's defaults for actions,
# occluders and bystanders. Which side is left a small network from scratch
# does not learn from faces of six pixels in minutes: it stays at chance.) Ten
# people are held out for the test, six for validation.
data_root = ''
annotated = dict(fraction=.1, seed=0)  # of the instants of each subject
image_size = 96
# Of one process: pairs of any instants, and half as many images with 3D
# labels beside them, in every batch (spec 4.3: 64 and 32).
views_per_group, groups_per_batch, annotated_groups = 2, 32, 8
source = dict(
    type='SyntheticViews', subjects=48, clips=4, seconds=10., fps=2.,
    image_size=image_size, num_cameras=4, place='all',
    actions=['stand', 'walk', 'run', 'squat', 'sit', 'reach', 'wave', 'bend',
             'kick', 'jump', 'throw', 'lunge'],
    world=dict(truncated=0., occluded=0., bystanders=0., suits=True))
split_by = 'subject'
held_out = dict(val=['person_03[2-7]'],
                test=['person_03[89]', 'person_04[0-7]'])
# Mirrored suits would be wrong.
augmentation = dict(flip=0., scale=.1, shift=.05, colour=.2, erase=.1)

views = dict(type='MultiViewDataset', source=source, data_root=data_root,
             split_by=split_by, held_out=held_out)
# Batches are made of kept crops at a call: to send a batch's samples from a
# worker takes ten times as long.
train_dataloader = dict(
    batch_size=views_per_group * (groups_per_batch + annotated_groups),
    num_workers=0, persistent_workers=False, drop_last=True,
    sampler=dict(type='ViewGroupSampler', views_per_group=views_per_group,
                 groups_per_batch=groups_per_batch,
                 annotated_groups=annotated_groups, subjects_per_batch=4,
                 gap_seconds=1.),
    dataset=dict(views, part='train', annotated=annotated,
                 augmentation=augmentation))
val_dataloader = dict(
    batch_size=64, num_workers=0, persistent_workers=False, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(views, part='val', test_mode=True))
test_dataloader = dict(
    batch_size=64, num_workers=0, persistent_workers=False, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(views, part='test', test_mode=True))
val_evaluator = [dict(type='PoseErrors3D', frame='canonical'),
                 dict(type='PoseErrors3D', frame='camera')]
test_evaluator = [*val_evaluator, dict(type='PoseRetrieval')]
