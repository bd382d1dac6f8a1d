# For what detectors give: the Gaussian doubts each joint that the others
# contradict, and the regressor adds what is never seen (docs/jumps.md).
_base_ = ['./cascade_mocap.py']

model = dict(first=dict(noise=.01, keep=False, robust=8))
