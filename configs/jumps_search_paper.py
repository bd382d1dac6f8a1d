# Eqs. 9 and 10 to the letter (Section III-C) over what configs/jumps_mocap.py
# trained: 200 steps of rate 1, the critic's weight of the paper's own critic.
# The number of starts is not given: 8. For comparison, not for use, and with
# the paper's joining of windows, --overlap select.
_base_ = ['./jumps_search_mocap.py']

model = dict(
    restarts=7, keep=False,
    search=dict(steps=200, rate=1., betas=(.8, .999), position_weight=10.,
                velocity_weight=5., critic_weight=15.))
