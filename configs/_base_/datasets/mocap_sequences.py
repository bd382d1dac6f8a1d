# Windows of 24 frames of 28 joints, at 25 per second, of real motion capture,
# each seen by a camera of its own. Whole subjects (CMU) and whole styles
# (Bandai-Namco) are held out, never windows.
data_root = '{{$MIRRORPOSE_DATA:data}}/'

# Subject 01 climbs and swings: the test. Clip 02_01 is also a clip of the
# second collection ("exp"), so subject 02 and that collection are one group.
cmu = dict(
    type='MocapArchive', file='mocap/cmu31_30fps.npz',
    groups=r'^(cmu_amc_\d+|cmu_exp)', merge={'cmu_amc_02': 'cmu_exp'},
    held_out=dict(val=['cmu_amc_03'], test=['cmu_amc_01']))
# Both sets have three actors together: a style that is held out is new, its
# actor is not. Styles of one meaning are one group.
bandai = dict(
    type='MocapArchive', file='mocap/bandai26_30fps.npz',
    groups=r'^dataset-\d_[^_]+_(.+)_\d+(?:#\d+)?$',
    merge=dict(masculinity='masculine', old='elderly', tired='exhausted'),
    held_out=dict(val=['happy', 'giant'],
                  test=['elderly', 'feminine', 'chimpira', 'musical']))
sources = [cmu, bandai]

# What is seen: all by default. Replace it, e.g. by one of these.
holes = []
unseen = [dict(type='UnseenJoints')]  # 12 of 28, JUMPS's task
detector = unseen + [dict(type='DetectorNoise')]
mixed = [
    dict(type='UnseenJoints'),
    dict(type='OneOfHoles', weights=[3, 2, 2, 2, 1], patterns=[
        None, dict(type='RandomDrops', p=(.02, .3)),
        dict(type='HiddenLimb', seconds=(.2, 1.)),
        dict(type='MissingFrames', n=(2, 12)),
        dict(type='DetectorNoise')])]

windows = dict(type='PoseSequenceDataset', sources=sources, split_seed=0,
               data_root=data_root, holes=holes)
train_dataloader = dict(
    batch_size=256, num_workers=1, persistent_workers=True, drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(windows, part='train', random_start=True, mirror=.5))
val_dataloader = dict(
    batch_size=256, num_workers=1, persistent_workers=True, drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(windows, part='val', test_mode=True))
test_dataloader = dict(
    val_dataloader, dataset=dict(windows, part='test', test_mode=True))
