"""The pose VAE as a model of poses, and as a PosePrior."""
from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from mirrorpose.models.mirrornet import objective
from mirrorpose.models.pose import PosePrior, draw_gaussians, draw_one_hot

SIZE, SIGMA, BANK = (8, 8), .7, 64


def vector_cfg(variance):
    """A small net with a vector latent, over maps of 8 x 8."""
    return dict(
        type='PoseVAE', variance=variance, map_size=SIZE, sigma=SIGMA,
        recognizer=dict(type='LatentRecognizer', in_channels=16,
                        base_channels=16, latent_channels=16,
                        vector_size=(1, 1)),
        generator=dict(type='PoseGenerator', base_channels=16,
                       latent_channels=16, vector_size=(1, 1)))


@pytest.fixture(scope='module')
def trained(toy):
    """Literal and default pose VAEs after the same 300 steps on a bank."""
    cells = (toy.stick_poses(BANK, 1) + 1) / 2 * 7
    forms = dict(default=(.02, draw_gaussians(cells, SIZE, SIGMA)),
                 literal=(1., draw_one_hot(cells, SIZE)))
    out = {}
    for name, (variance, maps) in forms.items():
        model = toy.build(dict(type='PoseAutoencoding',
                               pose_vae=vector_cfg(variance)))
        samples = [toy.make_sample(str(i), m, torch.ones(16))
                   for i, m in enumerate(maps)]
        optimizer = torch.optim.Adam(
            [p for p in model.parameters() if p.requires_grad], 5e-3)
        g = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        for _ in range(300):
            rows = torch.randint(BANK, (16, ), generator=g)
            losses = model(torch.zeros(16, 3, 8, 8),
                           [samples[i] for i in rows])
            optimizer.zero_grad()
            toy.total(losses).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            figures = model.score(torch.zeros(BANK, 3, 8, 8), samples)
        out[name] = model, {k: float(v.mean()) for k, v in figures.items()}
    return out


class TestCollapse:
    """Trap T1.1."""

    def test_the_literal_one_ignores_its_latent(self, trained):
        model, figures = trained['literal']
        assert figures['explained'] < .1
        assert -figures['kl_primitive'] < .5
        with torch.no_grad():
            z = torch.randn(8, 16, 1, 1)
            poses = model.pose_vae.decode(z)[0]
        assert poses.std(0).max() < .03

    def test_the_default_one_uses_it(self, trained):
        model, figures = trained['default']
        assert figures['explained'] > .3
        assert -figures['kl_primitive'] > 3
        with torch.no_grad():
            poses = model.pose_vae.decode(torch.randn(8, 16, 1, 1))[0]
        assert poses.std(0).max() > .1

    def test_most_that_can_be_gained_literally(self, toy):
        """8 nats, against 16,384 latent dimensions at full size."""
        cells = (toy.stick_poses(4, 1) + 1) / 2 * 63
        pose = draw_one_hot(cells, (64, 64))
        latent = (torch.zeros(4, 256, 8, 8), torch.zeros(4, 256, 8, 8))
        from mirrorpose.models.mirrornet.pose_vae import PoseVAEOutput
        best = objective.plausibility(pose, PoseVAEOutput(pose, 0., latent))
        blank = objective.plausibility(
            pose, PoseVAEOutput(torch.zeros_like(pose), 0., latent))
        torch.testing.assert_close(best - blank, torch.full((4, ), 8.),
                                   rtol=0, atol=.02)
        assert latent[0][0].numel() == 16384


class TestPrior:

    def test_protocol(self, toy):
        prior = toy.build(toy.pose_vae_cfg())
        assert isinstance(prior, PosePrior)
        assert prior.reads_sequence is False
        assert prior.skeleton.name == 'mpii_16'

    def test_score_is_the_bound_at_the_mean_latent(self, toy):
        prior = toy.build(toy.pose_vae_cfg(toy.GN))
        poses = toy.stick_poses(3)
        maps = draw_gaussians((poses + 1) / 2 * 15, (16, 16), 1.)
        mean, log_variance = prior.recognizer(maps)
        after = prior.generator(mean)[0]
        per = Normal(after, .02**.5).log_prob(maps).sum((2, 3))
        divergence = .5 * (mean**2 + log_variance.exp() - 1
                           - log_variance).sum((1, 2, 3))
        torch.testing.assert_close(prior.score(poses),
                                   per.sum(1) - divergence)
        torch.testing.assert_close(prior.per_joint(poses), per)

    def test_score_is_a_function_of_the_pose(self, toy):
        prior = toy.build(toy.pose_vae_cfg()).eval()
        poses = toy.stick_poses(4)
        assert torch.equal(prior.score(poses), prior.score(poses))
        torch.testing.assert_close(prior.score(poses)[1:2],
                                   prior.score(poses[1:2]))

    def test_gradient_is_that_of_finite_differences(self, toy):
        prior = toy.build(toy.pose_vae_cfg()).eval()
        poses = toy.stick_poses(2).requires_grad_()
        grad, = torch.autograd.grad(prior.score(poses).sum(), poses)
        way = torch.randn(2, 16, 2, generator=torch.Generator().manual_seed(
            0))
        step = 2e-3
        with torch.no_grad():
            change = (prior.score(poses + step * way)
                      - prior.score(poses - step * way)) / (2 * step)
        torch.testing.assert_close((grad * way).sum((1, 2)), change,
                                   rtol=.02, atol=.5)
        assert (grad.abs().sum(-1) > 0).all()

    def test_absent_joints_cannot_matter(self, toy):
        prior = toy.build(toy.pose_vae_cfg()).eval()
        poses = toy.stick_poses(3)
        mask = torch.ones(3, 16)
        mask[0, 2] = mask[1, 5:9] = 0
        values = []
        for bad in (0., 5., math.nan):
            x = torch.where(mask[..., None] > 0, poses,
                            torch.tensor(bad)).requires_grad_()
            score = prior.score(x, mask)
            grad, = torch.autograd.grad(score.sum(), x)
            assert (grad[mask == 0] == 0).all()
            assert grad.isfinite().all()
            values.append((score.detach(), prior.per_joint(x, mask).detach(),
                           grad))
        for other in values[1:]:
            for a, b in zip(values[0], other):
                assert torch.equal(a, b)
        assert (values[0][1][mask == 0] == 0).all()
        full = prior.score(poses, torch.ones(3, 16))
        assert torch.equal(full, prior.score(poses))

    def test_learnt_variance(self, toy):
        cfg = toy.pose_vae_cfg(toy.GN)
        cfg['generator']['learn_variance'] = True
        prior = toy.build(cfg)
        poses = toy.stick_poses(2)
        out = prior._reconstruct(prior.draw(poses))
        per = Normal(out.mean, (out.log_variance / 2).exp()).log_prob(
            prior.draw(poses)).sum((2, 3))
        torch.testing.assert_close(prior.per_joint(poses), per)

    def test_trained_prefers_true_poses(self, toy, trained):
        prior = trained['default'][0].pose_vae
        truth = toy.stick_poses(BANK, 1)
        g = torch.Generator().manual_seed(3)
        wins = []
        with torch.no_grad():
            true_score = prior.score(truth)
            for joint in range(16):
                broken = truth.clone()
                angle = torch.rand(BANK, generator=g) * 2 * math.pi
                broken[:, joint] += .8 * torch.stack(
                    [angle.cos(), angle.sin()], -1)
                broken = broken.clamp(-1, 1)
                wins.append((true_score > prior.score(broken)).float())
        wins = torch.stack(wins)
        assert wins.mean() > .9
        assert (wins.mean(1) > .6).all()  # whichever joint it is

    def test_trained_points_back(self, toy, trained):
        """Trap T1.14: the gradient at a damaged joint leads to the truth."""
        prior = trained['default'][0].pose_vae
        truth = toy.stick_poses(BANK, 1)
        cosines = []
        for joint in range(16):
            away = torch.zeros_like(truth)
            away[:, joint] = torch.tensor([.2, 0.])
            for sign in (1, -1):
                x = (truth + sign * away).requires_grad_()
                grad, = torch.autograd.grad(prior.score(x).sum(), x)
                cosines.append(torch.cosine_similarity(
                    grad[:, joint], -sign * away[:, joint]))
        assert torch.stack(cosines).mean() > .3

    def test_refuses(self, toy):
        prior = toy.build(toy.pose_vae_cfg())
        with pytest.raises(ValueError, match='14 joints'):
            prior.score(torch.zeros(1, 14, 2))
        with pytest.raises(ValueError, match='NaN'):
            prior.score(torch.full((1, 16, 2), math.nan))


class TestModel:

    def test_forward_samples_the_latent(self, toy):
        vae = toy.build(toy.pose_vae_cfg(toy.GN))
        pose = vae.draw(toy.stick_poses(2))
        calls = []

        def noise(mean):
            calls.append(mean.shape)
            return torch.full_like(mean, .5)

        out = vae(pose, noise)
        mean, log_variance = vae.recognizer(pose)
        torch.testing.assert_close(out.primitive[0], mean)
        torch.testing.assert_close(
            out.mean, vae.generator(mean + .5 * (log_variance / 2).exp())[0])
        assert out.log_variance == pytest.approx(math.log(.02))
        assert calls == [mean.shape]

    def test_without_noise_of_its_own_it_follows_torch(self, toy):
        vae = toy.build(toy.pose_vae_cfg(toy.GN))
        pose = vae.draw(toy.stick_poses(2))
        outs = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            outs.append(vae(pose).mean)
        assert torch.equal(outs[0], outs[1])
        assert not torch.equal(outs[0], outs[2])

    def test_draw(self, toy):
        vae = toy.build(toy.pose_vae_cfg())
        poses = toy.stick_poses(2)
        mask = torch.ones(2, 16)
        mask[1, 4] = 0
        maps = vae.draw(poses, mask)
        want = draw_gaussians((poses + 1) / 2 * 15, (16, 16), 1.)
        want[1, 4] = 0
        torch.testing.assert_close(maps, want)

    def test_generate(self, toy):
        vae = toy.build(toy.pose_vae_cfg()).eval()
        g = torch.Generator()
        one, two, three = (
            vae.generate(3, (8, 2, 2), generator=g.manual_seed(s))
            for s in (1, 1, 2))
        assert one.shape == (3, 16, 16, 16) and not one.requires_grad
        assert torch.equal(one, two) and not torch.equal(one, three)

    @pytest.mark.parametrize('part,key', [('recognizer', 'in_channels'),
                                          ('generator', 'out_channels')])
    def test_joint_count(self, toy, part, key):
        cfg = toy.pose_vae_cfg()
        cfg[part] = dict(cfg[part], **{key: 14})
        with pytest.raises(ValueError, match=f'16 joints.*{key}=14'):
            toy.build(cfg)

    def test_unknown_skeleton(self, toy):
        with pytest.raises(ValueError, match="'mpii_17'"):
            toy.build(toy.pose_vae_cfg(skeleton='mpii_17'))

    def test_another_joint_set(self, toy):
        cfg = toy.pose_vae_cfg(skeleton='lsp_14')
        cfg['recognizer'] = dict(cfg['recognizer'], in_channels=14)
        cfg['generator'] = dict(cfg['generator'], out_channels=14)
        assert toy.build(cfg).score(torch.zeros(2, 14, 2)).shape == (2, )
