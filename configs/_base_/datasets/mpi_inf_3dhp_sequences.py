# MPI-INF-3DHP's training motion, prepared by
# tools/dataset_converters/mpi_inf_3dhp.py; subjects 7 and 8 are held out.
# Written for the documented layout; the data were not at hand.
_base_ = ['./mocap_sequences.py']

sources = [dict(type='MocapArchive', file='mpi_inf_3dhp/motion.npz',
                name='mpi_inf_3dhp',
                held_out=dict(val=['S7'], test=['S8']))]
train_dataloader = dict(dataset=dict(sources=sources))
val_dataloader = dict(dataset=dict(sources=sources))
test_dataloader = dict(dataset=dict(sources=sources))
