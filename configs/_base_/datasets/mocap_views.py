# Real motion capture, drawn by the embedded world from the four cameras of a
# laboratory. Whole subjects (CMU) and styles (Bandai-Namco) are held out, and
# with them the people that wear them.
_base_ = ['./synthetic_views.py']

data_root = '{{$MIRRORPOSE_DATA:data}}/'
# See mocap_sequences.py.
cmu = dict(
    type='MocapArchive', file='mocap/cmu31_30fps.npz',
    groups=r'^(cmu_amc_\d+|cmu_exp)', merge={'cmu_amc_02': 'cmu_exp'})
bandai = dict(
    type='MocapArchive', file='mocap/bandai26_30fps.npz',
    groups=r'^dataset-\d_[^_]+_(.+)_\d+(?:#\d+)?$',
    merge=dict(masculinity='masculine', old='elderly', tired='exhausted'))
source = dict(
    _delete_=True, type='MocapViews', sources=[cmu, bandai], people=2,
    clips=12, seconds=12., fps=2., image_size=_base_.image_size,
    num_cameras=4, place='all', truncated=0., occluded=0., suits=True)
split_by = 'group'
held_out = dict(
    _delete_=True, val=['cmu_amc_03', 'happy', 'giant'],
    test=['cmu_amc_01', 'elderly', 'feminine', 'chimpira', 'musical'])
views = dict(data_root=data_root, source=source, split_by=split_by,
             held_out=held_out)
train_dataloader = dict(dataset=views)
val_dataloader = dict(dataset=views)
test_dataloader = dict(dataset=views)
