"""MirrorNet's bounds, assembled a second time from torch.distributions."""
from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from mirrorpose.models.mirrornet import objective
from mirrorpose.models.mirrornet.image_vae import ImageVAEOutput
from mirrorpose.models.mirrornet.pose_vae import PoseVAEOutput

N, K, H, W, C = 3, 4, 5, 6, 7
VARIANCE = .01


def gaussian(mean, log_variance):
    if not isinstance(log_variance, torch.Tensor):
        log_variance = torch.full_like(mean, log_variance)
    return Independent(Normal(mean, (log_variance / 2).exp()), 3)


def kl(latent):
    mean, log_variance = latent
    return kl_divergence(gaussian(mean, log_variance),
                         gaussian(torch.zeros_like(mean), 0.))


@pytest.fixture(params=['fixed', 'learned'])
def world(request):
    """Everything that one pass gives, at random."""
    g = torch.Generator().manual_seed(0)

    def r(*shape):
        return torch.randn(N, *shape, generator=g, dtype=torch.float64)

    fixed = request.param == 'fixed'
    latent = [(r(C, 2, 2), r(C, 2, 2)) for _ in range(3)]
    pose_variance = math.log(.02) if fixed else r(K, H, W)
    image_variance = 0. if fixed else r(3, H, W)
    return dict(
        image=r(3, H, W), pose=r(K, H, W), mean=r(K, H, W),
        sample=r(K, H, W),
        image_out=ImageVAEOutput(r(3, H, W), image_variance, latent[0],
                                 latent[1]),
        pose_out=PoseVAEOutput(r(K, H, W), pose_variance, latent[2]))


def close(got, want):
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


def summed(bound):
    return torch.stack(list(bound.values())).sum(0)


def test_equation_28_and_30(world):
    want = gaussian(world['mean'], math.log(VARIANCE)).log_prob(world['pose'])
    close(objective.recognition(world['pose'], world['mean']), want)
    # "-50 * ||y - mu||^2 + const" at the paper's variance
    square = ((world['pose'] - world['mean'])**2).sum((1, 2, 3))
    const = -.5 * K * H * W * math.log(2 * math.pi * VARIANCE)
    close(objective.recognition(world['pose'], world['mean'], .01),
          -50 * square + const)


def test_equation_31(world):
    out = world['image_out']
    bound = objective.image_bound(world['image'], out)
    assert set(bound) == {'fidelity', 'kl_appearance', 'kl_scene'}
    close(bound['fidelity'],
          gaussian(out.mean, out.log_variance).log_prob(world['image']))
    close(summed(bound),
          gaussian(out.mean, out.log_variance).log_prob(world['image'])
          - kl(out.appearance) - kl(out.scene))


def test_equation_34(world):
    out = world['pose_out']
    bound = objective.pose_bound(world['pose'], out)
    assert set(bound) == {'plausibility', 'kl_primitive'}
    close(summed(bound),
          gaussian(out.mean, out.log_variance).log_prob(world['pose'])
          - kl(out.primitive))


def unsupervised(world, log_p_pose):
    """Equation 15, written down once more."""
    image_out, pose_out = world['image_out'], world['pose_out']
    q = gaussian(world['mean'], math.log(VARIANCE))
    return (gaussian(image_out.mean, image_out.log_variance).log_prob(
        world['image']) + log_p_pose + q.entropy()
        - kl(image_out.appearance) - kl(image_out.scene)
        - kl(pose_out.primitive))


def test_equation_15_sampled(world):
    pose_out = world['pose_out']
    bound = objective.unsupervised_bound(
        world['image'], world['mean'], world['image_out'], world['sample'],
        pose_out, VARIANCE, sampled=True)
    assert len(bound) == 6
    close(summed(bound), unsupervised(world, gaussian(
        pose_out.mean, pose_out.log_variance).log_prob(world['sample'])))


def test_equation_15_in_expectation(world):
    bound = objective.unsupervised_bound(
        world['image'], world['mean'], world['image_out'], world['mean'],
        world['pose_out'], VARIANCE)
    p = gaussian(world['pose_out'].mean, world['pose_out'].log_variance)
    q = gaussian(world['mean'], math.log(VARIANCE))
    torch.manual_seed(0)
    values = torch.stack([p.log_prob(q.sample()) for _ in range(3000)])
    error = values.std(0) / len(values)**.5
    gap = summed(bound) - unsupervised(world, values.mean(0))
    assert (gap.abs() < 4 * error).all()


def test_entropy_is_minus_expected_log_q(world):
    q = gaussian(world['mean'], math.log(VARIANCE))
    torch.manual_seed(0)
    values = torch.stack([-q.log_prob(q.sample()) for _ in range(3000)])
    error = values.std(0) / len(values)**.5
    got = objective.entropy(world['mean'], VARIANCE)
    assert ((values.mean(0) - got).abs() < 4 * error).all()
    # Larger variance, larger entropy: a plus in the bound (trap T1.4).
    assert (objective.entropy(world['mean'], .02) > got).all()


def supervised(world):
    """Equation 26, written down once more."""
    image_out, pose_out = world['image_out'], world['pose_out']
    return (gaussian(image_out.mean, image_out.log_variance).log_prob(
        world['image']) + gaussian(
            pose_out.mean, pose_out.log_variance).log_prob(world['pose'])
        - kl(image_out.appearance) - kl(image_out.scene)
        - kl(pose_out.primitive))


@pytest.mark.parametrize('weight', [0., 1., 2.5])
def test_equations_26_and_27(world, weight):
    bound = objective.supervised_bound(
        world['image'], world['image_out'], world['pose'], world['pose_out'],
        world['mean'], VARIANCE, weight)
    want = supervised(world) + weight * gaussian(
        world['mean'], math.log(VARIANCE)).log_prob(world['pose'])
    close(summed(bound), want)
    without = {k: v for k, v in bound.items() if k != 'recognition'}
    close(summed(without), supervised(world))


def test_equation_27_with_the_recognizers_pose(world):
    bound = objective.supervised_bound(
        world['image'], world['image_out'], world['pose'], world['pose_out'],
        world['mean'], VARIANCE, pose=world['sample'])
    out = world['pose_out']
    close(bound['plausibility'],
          gaussian(out.mean, out.log_variance).log_prob(world['sample']))
    close(bound['recognition'],
          objective.recognition(world['pose'], world['mean'], VARIANCE))


def test_equation_29(world):
    first = objective.supervised_bound(
        world['image'], world['image_out'], world['pose'], world['pose_out'],
        world['mean'], VARIANCE)
    second = objective.unsupervised_bound(
        world['image'][:2], world['mean'][:2], world['image_out']._replace(
            mean=world['image_out'].mean[:2],
            log_variance=_rows(world['image_out'].log_variance),
            appearance=_rows(world['image_out'].appearance),
            scene=_rows(world['image_out'].scene)),
        world['sample'][:2], world['pose_out']._replace(
            mean=world['pose_out'].mean[:2],
            log_variance=_rows(world['pose_out'].log_variance),
            primitive=_rows(world['pose_out'].primitive)),
        VARIANCE, sampled=True)
    got = objective.semi_supervised(first, second)
    out = world['pose_out']
    recognized = gaussian(world['mean'], math.log(VARIANCE)).log_prob(
        world['pose'])
    want = (supervised(world) + recognized).sum() + unsupervised(
        world, gaussian(out.mean, out.log_variance).log_prob(
            world['sample']))[:2].sum()
    assert all(v.ndim == 0 for v in got.values())
    close(sum(got.values()), want)
    close(got['recognition'], recognized.sum())


def _rows(value):
    if isinstance(value, tuple):
        return tuple(v[:2] for v in value)
    return value[:2] if isinstance(value, torch.Tensor) else value


def test_absent_joints_are_left_out(world):
    present = torch.tensor([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]]).bool()
    out = world['pose_out']
    per = {
        'recognition': Normal(world['mean'], VARIANCE**.5).log_prob(
            world['pose']),
        'plausibility': gaussian(out.mean, out.log_variance).base_dist
        .log_prob(world['pose'])}
    for bad in (world['pose'], torch.full_like(world['pose'], math.nan)):
        pose = torch.where(present[..., None, None], world['pose'], bad)
        bound = objective.supervised_bound(
            world['image'], world['image_out'], pose, out, world['mean'],
            VARIANCE, present=present)
        for name, terms in per.items():
            close(bound[name], (terms.sum((2, 3)) * present).sum(1))
        assert bound['recognition'][1] == 0
        alone = objective.pose_bound(pose, out, present=present)
        close(alone['plausibility'], bound['plausibility'])


def test_terms_weigh_as_elements_do():
    """Sums, not means (trap T1.2): twice the map, twice the nats."""
    one = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    two = torch.cat([one, one], 1)
    zero = torch.zeros_like
    close(objective.recognition(two, zero(two)),
          2 * objective.recognition(one, zero(one)))


def test_noise_floor_in_numbers():
    """Trap T1.3: 655 units of noise beside 16 of one-hot signal."""
    pose = torch.zeros(1, 16, 64, 64, dtype=torch.float64)
    pose[0, range(16), range(16), range(16)] = 1
    out = PoseVAEOutput(pose, 0., (torch.zeros(1, 1, 1, 1),
                                   torch.zeros(1, 1, 1, 1)))
    ideal = float(objective.plausibility(pose, out))
    blank = out._replace(mean=torch.zeros_like(pose))
    assert ideal - float(objective.plausibility(pose, blank)) == \
        pytest.approx(8)
    expected = float(objective.plausibility(pose, out, .01))
    assert ideal - expected == pytest.approx(.5 * 655.36)
    # The two differences are orders apart: noise drowns what y says, and the
    # expectation costs a constant alone.
    g = torch.Generator().manual_seed(0)
    noise = torch.randn(pose.shape, generator=g, dtype=torch.float64)
    drawn = pose + .1 * noise
    assert ideal - float(objective.plausibility(drawn, out)) == \
        pytest.approx(327.68, rel=.03)
    assert expected - float(objective.plausibility(pose, blank, .01)) == \
        pytest.approx(8)
