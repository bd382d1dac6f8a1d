# For what detectors give: the Gaussian doubts each joint that the others
# contradict, and the regressor adds what is never seen (docs/jumps.md).
_base_ = ['./cascade_mocap.py']

# keep=14: good joints stay where they were seen even where most are wrong.
# keep=False mends more where few are (docs/jumps.md). JUMPS in the place of
# the robust ridge was not measured.
model = dict(first=dict(noise=.02, keep=14., robust=8),
             never=None, never_checkpoint=None)
