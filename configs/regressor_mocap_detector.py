# The regressor for what detectors really give: jitter, outliers, swapped
# limbs, lost joints. Observed joints are moved as well.
_base_ = ['./regressor_mocap.py']

# A propagation of errors at observed joints would carry the noise on.
model = dict(keep=False, noise=.05, observed_weight=1.)

seen = dict(type='OneOfHoles', weights=[9, 1],
            patterns=[dict(type='UnseenJoints'), None])
noise = [dict(type='DetectorNoise'),
         dict(type='DetectorNoise', outliers=.1, jitter=.025)]
missing = dict(type='OneOfHoles', weights=[3, 1, 1, 1], patterns=[
    None,
    dict(type='RandomDrops', p=(0., .3)),
    dict(type='HiddenLimb', seconds=(.16, 2.)),
    dict(type='MissingFrames', n=(2, 16))])
train_dataloader = dict(dataset=dict(holes=[
    seen, dict(type='OneOfHoles', weights=[1, 4, 2],
               patterns=[None, *noise]), missing]))
detector = [dict(type='UnseenJoints'), dict(type='DetectorNoise')]
val_dataloader = dict(dataset=dict(holes=detector))
test_dataloader = dict(dataset=dict(holes=detector))
