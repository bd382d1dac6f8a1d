"""The auxiliary networks: shapes, refusals, Table 8's sizes and costs."""
from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

from mirrorpose.models.mirrornet.networks import check_size

CONFIGS = Path(__file__).parents[3] / 'configs/_base_/models'
RECOGNIZERS = dict(hourglass=('mirrornet_hourglass.py', 25.59, 26.17),
                   resnet50=('mirrornet_resnet50.py', 34.00, 11.99),
                   hrnet=('mirrornet_hrnet_w32.py', 28.54, 9.49))
# Table 8: millions of parameters, and billions (2^30) of multiply-adds at
# 256 x 256 with the deviation that the reconstruction may have.
PARTS = dict(
    appearance_recognizer=(5.28, 1.11, .01),
    scene_recognizer=(5.28, 1.11, .01),
    generator=(12.84, 3.25, .04),
    mask_estimator=(10.28, 1.42, .06),
    primitive_recognizer=(5.29, 1.13, .002),
    pose_generator=(1.33, 1.13, .005),
)


def build(file: str) -> nn.Module:
    """A model of our configs on the meta device: shapes without numbers."""
    init_default_scope('mmpose')
    cfg = Config.fromfile(CONFIGS / file).model.to_dict()
    with torch.device('meta'):
        return MODELS.build(cfg)


def millions(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters()) / 1e6


def parts_of(model: nn.Module) -> dict[str, nn.Module]:
    return dict(
        appearance_recognizer=model.image_vae.appearance_recognizer,
        scene_recognizer=model.image_vae.scene_recognizer,
        generator=model.image_vae.generator,
        mask_estimator=model.mask_estimator,
        primitive_recognizer=model.pose_vae.recognizer,
        pose_generator=model.pose_vae.generator)


class MultiplyAdds:
    """Counts those of Conv and Linear layers from the shapes they see.

    Transposed convolutions are counted at their output positions, as the
    model summary of HRNet's repository does, whose numbers Table 8 prints.
    """

    def __init__(self, model: nn.Module) -> None:
        self.count = 0
        for module in model.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                module.register_forward_hook(self._add)

    def _add(self, module, inputs, output) -> None:
        if isinstance(module, nn.Linear):
            self.count += output.numel() * module.in_features
            return
        kernel = module.kernel_size[0] * module.kernel_size[1]
        per_output = module.in_channels // module.groups * kernel
        self.count += output.numel() * per_output

    @property
    def billions(self) -> float:
        return self.count / 2**30


@pytest.fixture(scope='module')
def hrnet():
    return build('mirrornet_hrnet_w32.py').eval()


class TestTable8:

    @pytest.mark.parametrize('name', PARTS)
    def test_parameters_of_the_parts(self, hrnet, name):
        part = parts_of(hrnet)[name]
        assert millions(part) == pytest.approx(PARTS[name][0], rel=.02)

    @pytest.mark.parametrize('name', RECOGNIZERS)
    def test_parameters_of_the_recognizers(self, name):
        file, size, _ = RECOGNIZERS[name]
        model = build(file)
        recognizer = millions(model.backbone) + millions(model.head)
        assert recognizer == pytest.approx(size, rel=.02)

    def test_parameters_in_all(self, hrnet):
        assert millions(hrnet) == pytest.approx(68.84, rel=.01)
        assert millions(hrnet) == pytest.approx(
            millions(hrnet.backbone) + millions(hrnet.head)
            + sum(millions(p) for p in parts_of(hrnet).values()), rel=1e-9)

    def test_parameters_of_the_pose_generator_exactly(self, hrnet):
        # The one part that the specification identifies to the digit.
        assert sum(p.numel() for p in hrnet.pose_vae.generator.parameters()
                   ) == 1_329_952

    @pytest.mark.parametrize('name', RECOGNIZERS)
    def test_multiply_adds_of_the_recognizers(self, name):
        file, _, want = RECOGNIZERS[name]
        model = build(file).eval()
        counter = MultiplyAdds(model)
        with torch.device('meta'), torch.no_grad():
            model.head.forward(model.backbone(torch.empty(1, 3, 256, 256)))
        assert counter.billions == pytest.approx(want, rel=.01)

    def test_multiply_adds_of_the_parts(self, hrnet):
        maps, image = (torch.empty(1, c, 64, 64, device='meta')
                       for c in (16, 3))
        latent = torch.empty(1, 256, 8, 8, device='meta')
        inputs = dict(appearance_recognizer=(image, ),
                      scene_recognizer=(image, ),
                      generator=(maps, latent, latent),
                      mask_estimator=(image, maps),
                      primitive_recognizer=(maps, ),
                      pose_generator=(latent, ))
        for name, (_, want, slack) in PARTS.items():
            part = copy.deepcopy(parts_of(hrnet)[name])
            for module in part.modules():  # the fixed branch is not run
                if hasattr(module, 'learn_variance'):
                    module.learn_variance = True
            counter = MultiplyAdds(part)
            with torch.no_grad():
                part(*inputs[name])
            assert counter.billions == pytest.approx(want, rel=slack), name

    def test_predict_costs_what_the_recognizer_costs(self, hrnet):
        model = copy.deepcopy(hrnet)
        counter = MultiplyAdds(model)
        with torch.no_grad():
            model.extract_feat(torch.empty(1, 3, 256, 192, device='meta'))
        head = 16 * 32 * 64 * 48 / 2**30
        assert counter.billions + head == pytest.approx(7.12, rel=.01)


def make(kind: str, **kwargs) -> nn.Module:
    torch.manual_seed(0)
    return MODELS.build(dict(type=kind, base_channels=8, **kwargs))


class TestShapes:

    def test_latent_recognizer(self):
        net = make('LatentRecognizer', in_channels=3, latent_channels=5)
        for part in net(torch.randn(2, 3, 32, 24)):
            assert part.shape == (2, 5, 4, 3)

    def test_latent_vector(self):
        net = make('LatentRecognizer', in_channels=3, latent_channels=5,
                   vector_size=(4, 3))
        for part in net(torch.randn(2, 3, 32, 24)):
            assert part.shape == (2, 5, 1, 1)

    def test_log_variance_is_clamped(self):
        net = make('LatentRecognizer', in_channels=3, latent_channels=5)
        net.log_variance.bias.data[:] = torch.tensor([99., -99, 0, 0, 0])
        _, out = net(torch.randn(1, 3, 16, 16))
        assert (out[:, 0] == 10).all() and (out[:, 1] == -10).all()

    def test_pose_generator(self):
        net = make('PoseGenerator', out_channels=16, latent_channels=5)
        mean, log_variance = net(torch.randn(2, 5, 4, 3))
        assert mean.shape == (2, 16, 32, 24)
        assert log_variance is None

    def test_pose_generator_from_a_vector(self):
        net = make('PoseGenerator', latent_channels=5, vector_size=(4, 3))
        assert net(torch.randn(2, 5, 1, 1))[0].shape == (2, 16, 32, 24)

    @pytest.mark.parametrize('latent', [(4, 3), (1, 1)])
    def test_image_generator(self, latent):
        net = make('ImageGenerator', appearance_channels=5, scene_channels=6)
        mean, log_variance = net(torch.randn(2, 16, 32, 24),
                                 torch.randn(2, 5, *latent),
                                 torch.randn(2, 6, 4, 3))
        assert mean.shape == (2, 3, 32, 24)
        assert log_variance is None

    def test_mask_estimator(self):
        net = MODELS.build(dict(type='MaskEstimator', widths=(4, 4, 8)))
        out = net(torch.randn(2, 3, 12, 8), torch.randn(2, 16, 12, 8))
        assert out.shape == (2, 1, 12, 8)

    def test_generators_read_all_that_they_are_given(self):
        net = make('ImageGenerator', appearance_channels=5, scene_channels=6)
        inputs = [torch.randn(1, 16, 16, 16), torch.randn(1, 5, 2, 2),
                  torch.randn(1, 6, 2, 2)]
        for x in inputs:
            x.requires_grad_()
        net(*inputs)[0].square().sum().backward()
        for x in inputs:
            assert (x.grad.flatten(2).abs().sum(-1) > 0).all()


class TestSharpen:

    def test_is_the_sigmoid(self):
        net = MODELS.build(dict(type='MaskEstimator', widths=(4, 8),
                                gain=10.))
        raw = torch.tensor([-1., 0., .25, .5, .75, 1., 2.])
        want = 1 / (1 + torch.exp(-10 * (raw - .5)))
        torch.testing.assert_close(net.sharpen(raw), want)

    def test_sharpens(self):
        net = MODELS.build(dict(type='MaskEstimator', widths=(4, 8)))
        raw = torch.tensor([.3, .7])
        out = net.sharpen(raw)
        assert out[0] < raw[0] and out[1] > raw[1]


class TestVarianceHeads:

    @pytest.mark.parametrize('kind', ['PoseGenerator', 'ImageGenerator'])
    def test_fixed_is_frozen(self, kind):
        net = make(kind)
        frozen = [k for k, p in net.named_parameters()
                  if not p.requires_grad]
        assert frozen == ['head.log_variance.weight',
                          'head.log_variance.bias']

    @pytest.mark.parametrize('kind', ['PoseGenerator', 'ImageGenerator'])
    def test_learnt(self, kind):
        net = make(kind, learn_variance=True, latent_channels=5) \
            if kind == 'PoseGenerator' else make(
                kind, learn_variance=True, appearance_channels=5,
                scene_channels=5)
        assert all(p.requires_grad for p in net.parameters())
        latent = torch.randn(2, 5, 2, 2)
        inputs = (latent, ) if kind == 'PoseGenerator' else (
            torch.randn(2, 16, 16, 16), latent, latent)
        mean, log_variance = net(*inputs)
        assert mean.shape == log_variance.shape
        net.head.log_variance.bias.data.fill_(99)
        assert (net(*inputs)[1] == 10).all()


class TestSizesThatCannotBeHalved:

    def test_check_size(self):
        check_size((24, 16), 8, 'x')
        for size in ((20, 16), (16, 20)):
            with pytest.raises(ValueError, match='3 times.*multiples of 8'):
                check_size(size, 8, 'x')

    def test_networks(self):
        odd = torch.randn(1, 16, 16, 20)
        with pytest.raises(ValueError, match='latent recognizer.*16, 20'):
            make('LatentRecognizer', in_channels=16)(odd)
        with pytest.raises(ValueError, match='image generator'):
            make('ImageGenerator')(odd, odd, odd)
        with pytest.raises(ValueError, match='multiples of 16'):
            MODELS.build(dict(type='MaskEstimator'))(
                torch.randn(1, 3, 24, 24), torch.randn(1, 16, 24, 24))


@pytest.mark.parametrize('kind', [
    'LatentRecognizer', 'PoseGenerator', 'ImageGenerator', 'MaskEstimator'])
def test_unknown_option(kind):
    with pytest.raises(TypeError, match='wdith'):
        MODELS.build(dict(type=kind, wdith=3))
