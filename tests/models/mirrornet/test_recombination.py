"""Recombined images: who stands where, and what the labels say."""
from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

import mirrorpose  # noqa: F401
from mirrorpose.models.mirrornet.mattes import capsules_of
from mirrorpose.models.mirrornet.recombination import Recombination
from mirrorpose.models.mirrornet.recombination_draws import (
    Affine,
    StepKeys,
    partners,
)
from mirrorpose.models.mirrornet.scene_filling import dilate
from mirrorpose.models.pose import draw_gaussians

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
SIZE = 64
PLAIN = dict(skeleton='mpii_16', mean=MEAN, std=STD, scene_prob=0.,
             appearance_prob=0., jitter={})


@pytest.fixture(autouse=True)
def fresh_hub():
    """No run of another test gives these their step."""
    hub = MessageHub.get_instance('recombination_test')
    hub.update_info('iter', 7)
    hub.update_info('seed', 3)
    assert MessageHub.get_current_instance() is hub
    return hub


def scatter(n: int, seed: int = 0) -> torch.Tensor:
    """Poses (n, 16, 2) in pixels, about the middle of the image."""
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, 16, 2, generator=g) * 28 + 18


def make(labels=(True, ) * 4, seed=0, silhouettes=True, points=None,
         field=False):
    """Normalised images in [.1, .9] and samples of stock mmpose."""
    n = len(labels)
    g = torch.Generator().manual_seed(seed)
    images = torch.nn.functional.interpolate(
        torch.rand(n, 3, 8, 8, generator=g) * .8 + .1, SIZE,
        mode='bilinear')
    points = scatter(n, seed) if points is None else points
    weights = torch.ones(n, 16)
    masks = capsules_of('mpii_16')(points, weights > 0, (SIZE, SIZE)).round()
    maps = draw_gaussians(points / 4, (SIZE // 4, SIZE // 4), 1.)
    samples = []
    for i, known in enumerate(labels):
        sample = PoseDataSample(metainfo=dict(id=f's{i}', is_labeled=known))
        sample.gt_instances = InstanceData(
            transformed_keypoints=points[i:i + 1].numpy() * known)
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=weights[i:i + 1] * known)
        sample.gt_fields = PixelData(heatmaps=maps[i] * known)
        if silhouettes and known:
            if field:
                sample.gt_fields.silhouette = \
                    torch.nn.functional.avg_pool2d(masks[i], 4)
            else:
                sample.gt_instance_labels.silhouette = masks[i]
        samples.append(sample)
    mean, std = (torch.tensor(x).view(3, 1, 1) / 255 for x in (MEAN, STD))
    return (images - mean) / std, samples, points, masks


def run(inputs, samples, module=None, **options):
    """Images in [0, 1] and samples."""
    module = module or Recombination(**dict(PLAIN, **options))
    out, samples = module(inputs, copy.deepcopy(samples))
    return out * module.std + module.mean, samples


def unit(inputs):
    mean, std = (torch.tensor(x).view(3, 1, 1) / 255 for x in (MEAN, STD))
    return inputs * std + mean


# -- random numbers ---------------------------------------------------------
@pytest.mark.parametrize('pool', [[], [2], [0, 2, 3], [1, 4], list(range(6))])
def test_partners_are_others_of_the_pool_and_uniform(pool):
    pool = np.array(pool, np.int64)
    drawn = (np.arange(6000) + .5) / 6000
    for row in range(6):
        table = np.stack([drawn] * 6, 1)
        found = np.array([partners(t, pool)[row] for t in table[::50]])
        others = [p for p in pool if p != row]
        if not others:
            assert (found == -1).all()
            continue
        values, counts = np.unique(found, return_counts=True)
        assert values.tolist() == others
        assert counts.max() - counts.min() <= 1


def test_keys_follow_from_seed_step_and_place_alone(fresh_hub):
    one, other = StepKeys(), StepKeys()
    other(3)  # whatever came before, in another step
    fresh_hub.update_info('iter', 8)
    first = one(4)
    assert (first == other(4)).all() and len(set(first.tolist())) == 4
    again = one(4)  # a second batch of one step
    assert not set(again.tolist()) & set(first.tolist())
    fresh_hub.update_info('iter', 9)
    assert not set(one(4).tolist()) & set(first.tolist())
    fresh_hub.update_info('seed', 4)
    fresh_hub.update_info('iter', 8)
    assert not set(StepKeys()(4).tolist()) & set(first.tolist())


def test_affine_moves_as_it_says():
    """By grid_sample's own convention: output place to source place."""
    move = Affine(rotate=0., scale=(2., 2.), shift=.5, flip=1.)
    matrix = move.matrices(np.array([[0, 0, 1, .5, 0]]), (10, 20))[0]
    # Mirrored, twice as large, and half of half a side to the right.
    np.testing.assert_allclose(matrix @ [.5, 0, 1], [0, 0], atol=1e-6)
    np.testing.assert_allclose(matrix @ [.7, .2, 1], [-.1, .1], atol=1e-6)
    turn = Affine(90., (1., 1.), 0., 0.).matrices(
        np.array([[1 - 1e-9, 0, .5, .5, .5]]), (10, 20))[0]
    # Pixels (x 10, y 5 to the unit) turn without shear.
    np.testing.assert_allclose(turn @ [.5, 0, 1], [0, 1.], atol=1e-5)


# -- scenes -----------------------------------------------------------------
def test_nothing_drawn_changes_nothing():
    inputs, samples, *_ = make()
    images, after = run(inputs, samples)
    torch.testing.assert_close(images, unit(inputs), atol=1e-6, rtol=0)
    assert 'keypoints_covered' not in after[0].gt_instance_labels


def test_the_person_stays_and_the_scene_goes():
    inputs, samples, _, masks = make()
    images, after = run(inputs, samples, scene_prob=1.)
    core = (1 - dilate(1 - masks, 3) > 0).expand_as(images)
    torch.testing.assert_close(images[core], unit(inputs)[core], atol=1e-5,
                               rtol=0)
    around = (dilate(masks, 3) == 0).expand_as(images)
    assert (images - unit(inputs))[around].abs().mean() > .05
    # Nothing of the own scene is left: another one gives the same image.
    other = inputs.clone()
    noise = torch.rand(other[2].shape) + .2
    other[2] = torch.where(dilate(masks, 3)[2] > 0, other[2], noise)
    moved, _ = run(other, samples, scene_prob=1.)
    torch.testing.assert_close(moved[2], images[2], atol=1e-5, rtol=0)
    for before, sample in zip(samples, after):
        assert torch.equal(sample.gt_fields.heatmaps,
                           before.gt_fields.heatmaps)
        assert torch.equal(sample.gt_instance_labels.keypoint_weights,
                           before.gt_instance_labels.keypoint_weights)


def test_scenes_are_those_of_others_without_their_person():
    """Two constant scenes: each image gets the other's, to the pixel."""
    inputs, samples, _, masks = make((True, True))
    images = unit(inputs)
    colours = torch.tensor([[.8, .2, .3], [.1, .5, .9]])[:, :, None, None]
    images = torch.where(masks > 0, images, colours)
    mean, std = (torch.tensor(x).view(3, 1, 1) / 255 for x in (MEAN, STD))
    made, _ = run((images - mean) / std, samples, scene_prob=1.)
    for i in range(2):
        outside = dilate(masks, 3)[i, 0] == 0
        want = colours[1 - i].expand(3, SIZE, SIZE)[:, outside]
        torch.testing.assert_close(made[i][:, outside], want, atol=1e-4,
                                   rtol=0)


def test_borders_of_scenes_are_filled_on_request():
    inputs, samples, *_ = make((True, True))
    black = Recombination(**PLAIN)
    black = (torch.zeros(3, 1, 1) - black.mean) / black.std
    inputs[1, :, :, :12] = black
    still = dict(scene_prob=1., hole_dilation=0., scene_affine=dict(
        rotate=0., scale=(1., 1.), shift=0., flip=0.))
    kept, _ = run(inputs, samples, **still)
    filled, _ = run(inputs, samples, fill_borders=True, **still)
    assert (kept[0, :, :, :8] < .01).float().mean() > .5
    assert (filled[0, :, :, :8] > .05).float().mean() > .9


def test_share_of_images():
    inputs, samples, *_ = make((True, ) * 8)
    module = Recombination(**dict(PLAIN, scene_prob=.25))
    changed = []
    for step in range(100):
        MessageHub.get_current_instance().update_info('iter', step)
        images, _ = run(inputs, samples, module)
        changed += ((images - unit(inputs)).abs().amax((1, 2, 3)) > .01
                    ).tolist()
    assert abs(np.mean(changed) - .25) < 3 * (.25 * .75 / 800)**.5


def test_a_hub_without_a_step(fresh_hub):
    """Told None by somebody else's code: nothing has been trained."""
    fresh_hub.update_info('iter', None)
    fresh_hub.update_info('seed', None)
    told = StepKeys()(3)
    fresh_hub.runtime_info.pop('iter')
    assert (StepKeys()(3) == told).all()


def test_resumes_and_autocast_changes_nothing(fresh_hub):
    inputs, samples, *_ = make(silhouettes=False)
    options = dict(scene_prob=.8, appearance_prob=.5, behind_prob=.5,
                   front_prob=.5, jitter=None)
    module = Recombination(**dict(PLAIN, **options))
    seen = []
    for step in range(4):
        fresh_hub.update_info('iter', step)
        seen.append(run(inputs, samples, module)[0])
    assert not torch.equal(seen[2], seen[3])
    fresh_hub.update_info('iter', 2)  # a run that begins here
    with torch.autocast('cpu', torch.bfloat16):
        again, _ = run(inputs, samples, **options)
    assert torch.equal(again, seen[2])


@pytest.mark.parametrize('field', [True, False])
def test_silhouettes_at_any_place_and_capsules_are_alike(field):
    inputs, samples, *_ = make(field=field)
    none = make(silhouettes=False)[1]
    with_, without = (run(inputs, s, scene_prob=1.)[0]
                      for s in (samples, none))
    assert (with_ - without).abs().mean() < .03
    assert not torch.equal(with_, without)
    same = run(inputs, samples, scene_prob=1., mattes='capsules')[0]
    assert torch.equal(same, without)


def test_bad_silhouettes_are_not_used():
    inputs, samples, *_ = make()
    for s in samples:
        s.set_metainfo(dict(silhouette_good=False))
    none = make(silhouettes=False)[1]
    assert torch.equal(run(inputs, samples, scene_prob=1.)[0],
                       run(inputs, none, scene_prob=1.)[0])
    with pytest.raises(ValueError, match="mattes='silhouette'"):
        run(inputs, samples, mattes='silhouette')


def test_people_without_joints_stay_and_lend_nothing():
    inputs, samples, *_ = make(silhouettes=False)
    samples[1].gt_instance_labels.keypoint_weights[:, 3:] = 0
    images, _ = run(inputs, samples, scene_prob=1., appearance_prob=1.)
    torch.testing.assert_close(images[1], unit(inputs)[1], atol=1e-6, rtol=0)
    alone = [samples[i] for i in (0, 1)]
    images, _ = run(inputs[:2], alone, scene_prob=1., appearance_prob=1.)
    torch.testing.assert_close(images, unit(inputs)[:2], atol=1e-5, rtol=0)


# -- poses, however they come ---------------------------------------------
def test_poses_of_heatmaps_and_of_regression_labels():
    from mirrorpose.models.mirrornet.recombination_labels import read_people
    _, samples, points, _ = make()
    for s in samples:
        del s.gt_instances.transformed_keypoints
    found = read_people(samples, (SIZE, SIZE), torch.device('cpu'))
    assert (found.keypoints - points).abs().max() <= 2.01  # half a cell
    for s, p in zip(samples, points):
        del s.gt_fields
        s.gt_instance_labels.keypoint_labels = p[None] / SIZE
    found = read_people(samples, (SIZE, SIZE), torch.device('cpu'))
    torch.testing.assert_close(found.keypoints, points)
    del samples[2].gt_instance_labels.keypoint_labels
    with pytest.raises(ValueError, match='s2.*pack_transformed'):
        read_people(samples, (SIZE, SIZE), torch.device('cpu'))


# -- un-annotated images ----------------------------------------------------
class Oracle(torch.nn.Module):
    """A recognizer that knows the pose of every image that it is shown."""

    def __init__(self, inputs, points):
        super().__init__()
        self.inputs, self.points = inputs, points
        self.head = torch.nn.Identity()
        self.seen = 0

    def extract_feat(self, inputs):
        assert not self.head.training
        self.seen += len(inputs)
        who = torch.cdist(inputs.flatten(1), self.inputs.flatten(1)).argmin(1)
        return draw_gaussians(self.points[who] / 4, (16, 16), 1.)


def test_unannotated_images_lend_their_scenes(fresh_hub):
    inputs, samples, points, _ = make((True, False, True, False))
    oracle = Oracle(inputs, points)
    module = Recombination(**dict(PLAIN, scene_prob=1., estimator='model',
                                  scenes='unannotated'))
    module.use_model(oracle)
    images, after = run(inputs, samples, module)
    assert oracle.seen == 2 and oracle.head.training
    assert not list(module.parameters()) and not module.state_dict()
    torch.testing.assert_close(images[1::2], unit(inputs)[1::2], atol=1e-6,
                               rtol=0)
    assert ((images - unit(inputs)).abs().amax((1, 2, 3)) > .1).tolist() == [
        True, False, True, False]
    # The scene is of an un-annotated image, whatever annotated ones show.
    other = inputs.clone()
    other[2] += .3
    fresh_hub.update_info('iter', 8)
    module(inputs, samples)
    fresh_hub.update_info('iter', 7)  # the same draws again
    moved = run(other, samples, module)[0]
    assert (moved[0] - images[0]).abs().max() < 1e-5
    assert len(after) == 4


def test_unannotated_people_stand_elsewhere_too():
    inputs, samples, points, masks = make((True, False, True, False))
    module = Recombination(**dict(PLAIN, scene_prob=1., estimator='model',
                                  recombined='all', hole_dilation=0.))
    module.use_model(Oracle(inputs, points))
    images, after = run(inputs, samples, module)
    gap = (images - unit(inputs)).abs().amax(1, keepdim=True)
    assert (gap.amax((1, 2, 3)) > .1).all() and len(after) == 4
    kept = [(g[m > .5] < .05).float().mean() for g, m in zip(gap, masks)]
    lost = [(g[m < .5] < .05).float().mean() for g, m in zip(gap, masks)]
    assert min(kept) > .7 and max(lost) < .5, (kept, lost)


def test_without_estimator_they_lend_nothing():
    inputs, samples, *_ = make((True, False, False, False))
    images, _ = run(inputs, samples, scene_prob=1.)
    torch.testing.assert_close(images, unit(inputs), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match='use_model'):
        run(inputs, samples, scene_prob=1., estimator='model')


def test_unannotated_images_are_left_out_on_request():
    inputs, samples, *_ = make((False, True, False, True))
    images, after = run(inputs, samples, keep_unannotated=False)
    assert [s.id for s in after] == ['s1', 's3']
    torch.testing.assert_close(images, unit(inputs)[1::2], atol=1e-6, rtol=0)


def test_the_model_in_training_cuts_out(toy):
    """Its modes, statistics and checkpoint do not notice."""
    cfg = toy.recognizer_cfg()
    cfg = dict(cfg, type='PoseRecognition', data_preprocessor=dict(
        type='RecombinationPreprocessor', mean=MEAN, std=STD,
        recombination=dict(skeleton='mpii_16', scene_prob=1.,
                           estimator='model')))
    model = toy.build(cfg).train()
    model.head.eval()
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    inputs, samples, *_ = make((True, False, True, False))
    raw = (unit(inputs) * 255).round().byte()
    out = model.data_preprocessor(dict(
        inputs=list(raw), data_samples=samples), True)
    assert [m.training for m in model.modules()] == modes
    after = model.state_dict()
    assert list(after) == list(before)
    assert not [k for k in after if 'augment' in k]
    assert all(torch.equal(after[k], before[k]) for k in before)
    losses = model.loss(out['inputs'], out['data_samples'])
    assert losses['loss_recognition'].isfinite()
    twin = copy.deepcopy(model)
    held = twin.data_preprocessor.batch_augments[0].person_mattes.model
    assert held is twin


def test_estimator_from_files(tmp_path, toy):
    """Any config with its checkpoint; a wrong pair is refused."""
    from mmengine.config import Config
    cfg = Config(dict(model=dict(toy.recognizer_cfg(),
                                 type='TopdownPoseEstimator')))
    cfg.dump(tmp_path / 'config.py')
    model = toy.build(cfg.model)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'w.pth')
    inputs, samples, *_ = make((True, False, True, False))
    who = dict(config=str(tmp_path / 'config.py'),
               checkpoint=str(tmp_path / 'w.pth'))
    module = Recombination(**dict(PLAIN, scene_prob=1., estimator=who))
    assert run(inputs, samples, module)[0].isfinite().all()
    assert not list(module.parameters())
    torch.save(dict(state_dict={}), tmp_path / 'w.pth')
    broken = Recombination(**dict(PLAIN, scene_prob=1., estimator=who))
    with pytest.raises(ValueError, match='lacks'):
        run(inputs, samples, broken)


# -- colours and other people -----------------------------------------------
def test_appearance_leaves_the_scene_alone():
    inputs, samples, _, masks = make()
    images, _ = run(inputs, samples, appearance_prob=1.)
    outside = (dilate(masks, 3) == 0).expand_as(images)
    torch.testing.assert_close(images[outside], unit(inputs)[outside],
                               atol=1e-6, rtol=0)
    inside = (masks > 0).expand_as(images)
    assert (images - unit(inputs))[inside].abs().mean() > .02


def test_people_behind_hide_nothing():
    inputs, samples, _, masks = make((True, ) * 6)
    images, after = run(inputs, samples, behind_prob=1.)
    core = (1 - dilate(1 - masks, 3) > 0).expand_as(images)
    torch.testing.assert_close(images[core], unit(inputs)[core], atol=1e-5,
                               rtol=0)
    assert ((images - unit(inputs)).abs().amax((1, 2, 3)) > .02).sum() > 2
    assert 'keypoints_covered' not in after[0].gt_instance_labels


@pytest.mark.parametrize('covered', ['keep', 'drop'])
def test_people_in_front_hide_joints(covered):
    inputs, samples, points, _ = make((True, ) * 6)
    images, after = run(inputs, samples, front_prob=1., max_covered=1.,
                        covered_joints=covered,
                        occluder_affine=dict(shift=.3))
    hidden = torch.cat([s.gt_instance_labels.keypoints_covered
                        for s in after])
    assert hidden.shape == (6, 16) and hidden.any() and not hidden.all()
    # Where a joint is hidden, the pixel changed; where not, at most the
    # soft edge of somebody did.
    change = (images - unit(inputs)).abs().amax(1)
    at = points.round().long()
    there = change[torch.arange(6)[:, None], at[..., 1], at[..., 0]]
    assert there[hidden].mean() > .05 > there[~hidden].mean()
    for before, sample, hides in zip(samples, after, hidden):
        maps = sample.gt_fields.heatmaps
        weights = sample.gt_instance_labels.keypoint_weights[0]
        lost = hides if covered == 'drop' else torch.zeros_like(hides)
        assert torch.equal(weights, (~lost).float())
        assert torch.equal(maps, before.gt_fields.heatmaps
                           * (~lost)[:, None, None])


def test_nobody_is_hidden_whole():
    inputs, samples, *_ = make((True, ) * 6)
    far = dict(shift=0., rotate=0., scale=(1., 1.), flip=0.)
    free, limited = (run(inputs, samples, front_prob=1., max_covered=most,
                         occluder_affine=far)[1] for most in (1., .2))
    share = [torch.cat([s.gt_instance_labels.keypoints_covered
                        for s in x]).float().mean(1) for x in (free, limited)]
    assert share[0].max() > .4
    assert torch.equal(share[1], torch.where(share[0] <= .2, share[0], 0.))


def test_silhouettes_lose_what_is_hidden():
    inputs, samples, _, masks = make((True, ) * 6, field=True)
    images, after = run(inputs, samples, front_prob=1., max_covered=1.,
                        occluder_affine=dict(shift=.3))
    left = torch.stack([s.gt_fields.silhouette for s in after])
    full = torch.stack([s.gt_fields.silhouette for s in samples])
    assert (left <= full + 1e-6).all() and (left < full - .5).any()


# -- what is refused --------------------------------------------------------
@pytest.mark.parametrize('options,message', [
    (dict(mattes='polygons'), 'mattes is one of'),
    (dict(scenes='mine'), 'scenes is one of'),
    (dict(covered_joints='maybe'), 'covered_joints is one of'),
    (dict(scene_prob=1.5), 'scene_prob'),
    (dict(mean=None), 'belong together'),
    (dict(estimator='teacher'), "'teacher'"),
    (dict(estimator=dict(config='x')), 'estimator is'),
    (dict(mattes='estimator'), 'needs an estimator'),
    (dict(jitter=dict(hue=.1)), 'jitter'),
    (dict(skeleton='mpii'), 'mpii_16')])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(dict(type='Recombination', **dict(PLAIN, **options)))


def test_another_joint_set():
    inputs, samples, *_ = make()
    with pytest.raises(ValueError, match="16 joints.*'coco_17'"):
        run(inputs, samples, skeleton='coco_17')
