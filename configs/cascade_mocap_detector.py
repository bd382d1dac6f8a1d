# For what detectors give: the Gaussian doubts each joint that the others
# contradict, and the regressor adds what is never seen (docs/jumps.md).
_base_ = ['./cascade_mocap.py']

# keep='trusted' leaves joints that the others confirm where they were seen.
# JUMPS in the place of the robust ridge was not measured.
model = dict(first=dict(noise=.01, keep=False, robust=8),
             never=None, never_checkpoint=None)
