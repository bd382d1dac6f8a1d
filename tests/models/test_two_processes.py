"""Two gloo processes: what one process with the joint batch would compute.

The function ``work`` of this file is what the processes run.
"""
from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from mmengine.logging import MessageHub

from mirrorpose.testing import run_processes

LABELS = (True, False, True, True)
KINDS = ('MirrorNet', 'PoseRecognition', 'PoseAutoencoding',
         'ImageAutoencoding', 'MaskEstimation')


def load_toys():
    path = Path(__file__).with_name('conftest.py')
    spec = importlib.util.spec_from_file_location('mirrornet_toys', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(toys, kind, norm, seed=0, **kwargs):
    parts = dict(
        MirrorNet=lambda: toys.mirrornet_cfg(norm, **kwargs),
        PoseRecognition=lambda: dict(
            type=kind, **toys.recognizer_cfg(norm)),
        PoseAutoencoding=lambda: dict(
            type=kind, pose_vae=toys.pose_vae_cfg(norm)),
        ImageAutoencoding=lambda: dict(
            type=kind, image_vae=toys.image_vae_cfg(norm),
            mask_estimator=toys.mask_cfg(norm)),
        MaskEstimation=lambda: dict(
            type=kind, mask_estimator=toys.mask_cfg(norm)))
    return toys.build(parts[kind](), seed)


def joint_batch(toys):
    return toys.make_batch(LABELS, size=32, absent=.2, silhouettes=True)


def one_step(toys, model, image, samples):
    losses = model(image, samples, mode='loss')
    toys.total(losses).backward()
    inner = getattr(model, 'module', model)
    return toys.total(losses).detach(), {
        k: p.grad for k, p in inner.named_parameters() if p.requires_grad}


def work(rank: int, folder: Path) -> dict:
    """One of the processes."""
    from mmengine.model import MMDistributedDataParallel
    toys = load_toys()
    image, samples = joint_batch(toys)
    rows = slice(2 * rank, 2 * rank + 2)

    def wrap(model):
        return MMDistributedDataParallel(model, device_ids=None,
                                         broadcast_buffers=False)

    out = {}
    model = make(toys, 'MirrorNet', toys.GN, noise_per_sample=True)
    torch.manual_seed(100 + rank)  # must not matter
    loss, grads = one_step(toys, wrap(model), image[rows], samples[rows])
    dist.all_reduce(loss)
    out['joint'] = dict(loss=loss / 2, grads=grads)

    out['weights'], out['grads'] = {}, {}
    for kind in KINDS:
        # Another seed on each: DDP has to begin with rank 0's weights.
        model = wrap(make(toys, kind, toys.BN, seed=rank))
        if rank:
            with torch.no_grad():
                before = [p.clone() for p in model.parameters()]
        optimizer = torch.optim.Adam(
            [p for p in model.parameters() if p.requires_grad], 1e-2)
        torch.manual_seed(rank)
        for _ in range(2):
            optimizer.zero_grad()
            _, grads = one_step(toys, model, image[rows], samples[rows])
            optimizer.step()
        if rank:
            out['moved'] = out.get('moved', True) and any(
                not torch.equal(a, b)
                for a, b in zip(before, model.parameters()))
        out['weights'][kind] = {
            k: p.detach() for k, p in model.module.named_parameters()}
        out['grads'][kind] = grads
    return out


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    """What each of the two processes found."""
    return run_processes(f'{__file__}:work', 2,
                         tmp_path_factory.mktemp('ranks'))


def test_loss_and_gradient_are_those_of_the_joint_batch(toy, ranks):
    # Noise depends on the step, which a runner of another test may have
    # left in the current message hub.
    MessageHub.get_instance('two_processes')
    model = make(toy, 'MirrorNet', toy.GN, noise_per_sample=True)
    loss, grads = one_step(toy, model, *joint_batch(toy))
    for rank in ranks:
        torch.testing.assert_close(rank['joint']['loss'], loss, rtol=1e-5,
                                   atol=1e-6)
        assert rank['joint']['grads'].keys() == grads.keys()
        for key, grad in grads.items():
            torch.testing.assert_close(rank['joint']['grads'][key], grad,
                                       rtol=1e-3, atol=2e-6, msg=key)
    assert max(g.abs().max() for g in grads.values()) > 1e-2


def test_that_test_can_fail(toy):
    """Half the batch has another gradient, and so has other noise."""
    image, samples = joint_batch(toy)
    model = make(toy, 'MirrorNet', toy.GN, noise_per_sample=True)
    _, whole = one_step(toy, model, image, samples)
    half = make(toy, 'MirrorNet', toy.GN, noise_per_sample=True)
    _, part = one_step(toy, half, image[:2], samples[:2])
    other = make(toy, 'MirrorNet', toy.GN)
    torch.manual_seed(7)
    _, noisy = one_step(toy, other, image, samples)
    for wrong in (part, noisy):
        assert any((wrong[k] - g).abs().max() > 1e-3
                   for k, g in whole.items())


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('what', ['grads', 'weights'])
def test_ranks_stay_equal(ranks, kind, what):
    """With batch statistics of each process, and noise of each."""
    one, two = (rank[what][kind] for rank in ranks)
    assert one.keys() == two.keys() and one
    for key in one:
        assert torch.equal(one[key], two[key]), key


def test_weights_moved(ranks):
    assert ranks[1]['moved']
