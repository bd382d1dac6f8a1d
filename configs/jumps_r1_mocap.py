# JUMPS on motion capture by design R1: the same counts, and no batch
# normalisation in the critic, as WGAN-GP asks.
_base_ = ['./jumps_mocap.py']

design = 'R1'
model = dict(encoder=dict(design=design), generator=dict(design=design),
             critic=dict(design=design))
