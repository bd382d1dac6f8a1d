"""The adversary in the regressor: people are harder to tell, poses are not."""
from __future__ import annotations

import torch

MARKS = dict(subjects=3, identity=.06)  # each subject's joints are moved


@torch.no_grad()
def codes(views, model, seed, groups):
    x, samples = views.make_samples(groups, seed=seed, **MARKS)
    model.eval()
    raw = model.head.embedding(model.extract_feat(x)).raw
    return raw, torch.tensor([s.subject_index for s in samples])


def found_by_a_fresh_classifier(views, model):
    """Share of right answers about people in new poses."""
    x, who = codes(views, model, 5000, 240)
    mean, deviation = x.mean(0), x.std(0) + 1e-6
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 32),
                              torch.nn.ReLU(), torch.nn.Linear(32, 3))
    adam = torch.optim.Adam(net.parameters(), 1e-2)
    for _ in range(150):
        adam.zero_grad()
        torch.nn.functional.cross_entropy(
            net((x - mean) / deviation), who).backward()
        adam.step()
    x, who = codes(views, model, 9000, 150)
    right = net((x - mean) / deviation).argmax(1) == who
    return float(right.float().mean())


def test_people_are_harder_to_tell(views):
    share, error = [], []
    for strength in (0., 1.):
        model = views.build(views.lifter_cfg(
            'BN1d', head=dict(loss=dict(
                type='HardNetLoss', near_seconds=.5, warm_up=150)),
            adversary=dict(type='IdentityAdversary', num_subjects=3,
                           hidden=64, strength=strength, ramp_steps=60)))
        history = views.train(model, 150, annotated=.5, **MARKS)
        share.append(found_by_a_fresh_classifier(views, model))
        error.append(sum(h['mon_mpjpe_canonical']
                         for h in history[-10:]) / 10)
    assert share[0] > .7 and share[1] < share[0] - .05, share
    assert error[1] < 1.2 * error[0], error
