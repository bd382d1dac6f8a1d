"""Editing: what is drawn moves, and a swap is the decoder's own picture."""
from __future__ import annotations

import copy
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope, init_default_scope
from mmpose.registry import MODELS

import mirrorpose  # noqa: F401
from mirrorpose.apis import PoseEditor
from mirrorpose.apis.editing import Subjects

SIZE = 32
CFG = dict(
    type='KeypointGAN',
    backbone=dict(type='SkeletonTranslator', width=4),
    head=dict(type='SkeletonRegressor', skeleton='lsp_14', width=4),
    generator=dict(type='ConditionalDecoder', width=4),
    discriminator=dict(type='MultiScaleDiscriminator', width=4, scales=1),
    renderer=dict(type='SkeletonRenderer', skeleton='lsp_14', size=SIZE),
    perceptual=dict(type='PerceptualLoss', features='random', width=2),
    pool_size=4)


def build(**changes: Any) -> Any:
    """A model with weights by seed 0, larger than the initial ones.

    Heatmaps of initial weights are flat: all joints in the middle.
    """
    if DefaultScope.get_current_instance() is None:
        init_default_scope('mmpose')
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(dict(CFG, **changes))).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 4 and not name.startswith('perceptual'):
                torch.nn.init.kaiming_normal_(weight)
        model.head.network.last.weight.mul_(3)
        # The decoder's colours, within what uint8 can hold.
        model.generator.decoder.last.weight.mul_(.1)
    model.offline_head.load_state_dict(model.head.state_dict())
    return model


def pictures(number: int, shape: tuple[int, int] = (SIZE, SIZE)
             ) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [cv2.resize(rng.integers(0, 255, (5, 5, 3), np.uint8),
                       shape[::-1]) for _ in range(number)]


@pytest.fixture(scope='module')
def editor() -> PoseEditor:
    return PoseEditor(build(), batch_size=3)


@pytest.fixture(scope='module')
def people() -> Subjects:
    """Four images and standing people, who are not in them."""
    rest = np.array([
        [12, 28], [13, 23], [14, 18], [18, 18], [19, 23], [20, 28],
        [8, 18], [10, 14], [12, 9], [20, 9], [23, 14], [24, 18], [16, 8],
        [16, 3]], np.float32)
    shift = np.random.default_rng(1).normal(0, .8, (4, 14, 2))
    return Subjects(np.stack(pictures(4)),
                    (rest + shift).astype(np.float32),
                    [f'image {i}' for i in range(4)])


def test_poses_are_the_models(editor):
    model: Any = editor.model
    people = editor.read(pictures(4))
    pixels = torch.from_numpy(people.images[..., ::-1].transpose(
        0, 3, 1, 2).copy()).float() / 127.5 - 1
    with torch.no_grad():
        points = model.head(model.translate(pixels))
        points, swapped = model.side_corrected(points)
    want = ((points + 1) / 2 * (SIZE - 1)).numpy()
    np.testing.assert_allclose(people.keypoints, want, atol=1e-4)
    assert want.std(1).min() > .5  # no heap in the middle
    assert [*people.names] == [f'image {i}' for i in range(4)]


def test_names_are_corrected_only_where_the_drawing_stays():
    """Another regressor as reference, so that sides are exchanged."""
    shown = pictures(12)
    for sides, channels in ((True, 'one'), (False, 'side')):
        drawn = dict(type='SkeletonRenderer', skeleton='lsp_14', size=SIZE,
                     channels=channels)
        count = 1 if sides else 3
        model = build(
            renderer=drawn,
            backbone=dict(CFG['backbone'], out_channels=count),
            head=dict(CFG['head'], in_channels=count),
            generator=dict(CFG['generator'], in_channels=count),
            discriminator=dict(CFG['discriminator'], in_channels=count))
        flip = list(model.skeleton.flip_indices)
        last = model.offline_head.network.last
        last.load_state_dict({k: v[flip] for k, v in
                              last.state_dict().items()})
        own = PoseEditor(model)
        found = torch.from_numpy(own.read(shown).keypoints)
        plain = torch.from_numpy(PoseEditor(build_like(
            model)).read(shown).keypoints)
        changed = (found != plain).any(-1).any(-1)
        assert bool(changed.any()) == sides
        torch.testing.assert_close(
            found[changed], plain[changed][:, flip])
        torch.testing.assert_close(model.renderer(found / 16 - 1),
                                   model.renderer(plain / 16 - 1))


def build_like(model: Any) -> Any:
    out = copy.deepcopy(model)
    out.correct_sides = False
    return out


def test_swap_is_the_decoder_called_by_hand(editor, people):
    others = editor.read(pictures(6)[4:])
    made = editor.swap(people, others)
    assert made.shape == (4, 2, SIZE, SIZE, 3) and made.dtype == np.uint8
    for p in range(4):
        for a in range(2):
            look = torch.from_numpy(others.images[a][..., ::-1].transpose(
                2, 0, 1).copy())[None].float() / 127.5 - 1
            pose = torch.from_numpy(people.keypoints[p:p + 1])
            with torch.no_grad():
                want = editor.model.decode(pose * 2 / (SIZE - 1) - 1, look)
            want = ((want[0] + 1) * 127.5).clamp(0, 255).numpy().transpose(
                1, 2, 0)[..., ::-1]
            assert np.abs(made[p, a] - want).max() <= .51
            assert 5 < want.mean() < 250
    # the columns differ by the look, the rows by the pose
    assert (made[:, 0] != made[:, 1]).any() and (made[0] != made[1]).any()


def test_a_moved_joint_moves_its_limbs_and_no_others(editor, people):
    moved = editor.move(people, dict(left_wrist=(3, -2)))
    index = editor.joint('left_wrist')
    apart = moved - people.keypoints
    np.testing.assert_allclose(apart[:, index], [[3, -2]] * 4, atol=1e-5)
    assert not np.delete(apart, index, 1).any()
    renderer, (wrist, elbow) = editor.model.renderer, (
        index, editor.joint('left_elbow'))
    grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), -1)

    def drawn(pose: np.ndarray) -> np.ndarray:
        return renderer(torch.from_numpy(pose[None]) * 2 / (SIZE - 1) - 1
                        )[0, 0].numpy()

    for before, after in zip(people.keypoints, moved):
        # by hand, in pixels: the value of the forearm alone, Eq. 2
        a, b = after[wrist].astype(float), after[elbow].astype(float)
        r = (((grid - a) @ (b - a)) / max(((b - a)**2).sum(), 1e-9)
             ).clip(0, 1)
        distance = np.linalg.norm(grid - a - r[..., None] * (b - a), axis=-1)
        arm = np.exp(-25 * np.sqrt((2 / (SIZE - 1) * distance)**2 + 1e-6))
        new, old = drawn(after), drawn(before)
        assert (new >= arm - 1e-4).all()
        # what the edit made darker or lighter belongs to the forearm
        lighter = new > old + 1e-4
        assert lighter.any()
        np.testing.assert_allclose(new[lighter], arm[lighter], atol=1e-3)


def test_an_edit_reaches_the_picture(editor, people):
    moved = editor.move(people, dict(left_wrist=(4, 0)))
    plain = editor.decode(people.keypoints, people.images)
    assert np.array_equal(plain, np.stack([editor.swap(
        people, people)[i, i] for i in range(4)]))
    changed = editor.decode(moved, people.images).astype(int) - plain
    assert all(c.any() for c in changed)


def test_moves_add_up_and_fractions_are_of_the_side(editor, people):
    one = editor.move(people, dict(left_wrist=(.0625, 0),
                                   left_knee=(0, -.0625)), 'fraction')
    other = editor.move(people, dict(left_wrist=(2, 0), left_knee=(0, -2)))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_walks(editor, people):
    index = editor.joint('right_knee')
    line = editor.walk(people, 'right_knee', (4, 2), steps=5)
    assert line.shape == (4, 5, 14, 2)
    np.testing.assert_array_equal(line[:, 0], people.keypoints)
    np.testing.assert_allclose(np.diff(line[:, :, index], axis=1),
                               np.full((4, 4, 2), (1, .5)), atol=1e-4)
    ring = editor.walk(people, 'right_knee', steps=4, radius=.125)
    np.testing.assert_allclose(
        ring[:, :, index] - people.keypoints[:, None, index],
        [[[4, 0], [0, 4], [-4, 0], [0, -4]]] * 4, atol=1e-4)
    # beyond the border it is held there
    far = editor.walk(people, 'right_knee', (900, 0), steps=3)
    assert (far[:, 1:, index, 0] == SIZE - 1).all()
    np.testing.assert_array_equal(far[:, 2, index, 1],
                                  people.keypoints[:, index, 1])


def test_images_of_any_size(editor):
    wide, = pictures(1, (40, 72))
    low = wide.copy()
    low[:, :16], low[:, -16:] = 0, 0  # what the centre crop does not see
    centre = editor.read([wide, low])
    assert np.array_equal(*centre.images)
    want = cv2.resize(wide[:, 16:56], (SIZE, SIZE),
                      interpolation=cv2.INTER_AREA)
    assert np.array_equal(centre.images[0], want)
    fit = editor.read([wide], 'fit').images[0]
    padded = cv2.copyMakeBorder(wide, 16, 16, 0, 0, cv2.BORDER_REPLICATE)
    assert np.array_equal(fit, cv2.resize(padded, (SIZE, SIZE),
                                          interpolation=cv2.INTER_AREA))
    assert np.array_equal(editor.read(pictures(1)).images[0], pictures(1)[0])


@pytest.mark.parametrize('moves, unit, message', [
    (dict(left_wirst=(1, 1)), 'pixel', "did you mean 'left_wrist'.*head_top"),
    (dict(tail=(1, 1)), 'pixel', r"no joint 'tail'\. Its joints are"),
    (dict(left_wrist=(99, 0)), 'pixel',
     r'image 0: left_wrist would stand at .* outside .* 32 x 32 .* by -\d+ '
     r'to \d+ in x and'),
    (dict(left_wrist=(1, 1)), 'metre', "unit is one of .*'metre'"),
    (dict(left_wrist=(1, )), 'pixel', 'two numbers'),
    (dict(left_wrist=(1, np.nan)), 'pixel', 'two numbers')])
def test_wrong_moves(editor, people, moves, unit, message):
    with pytest.raises(ValueError, match=message):
        editor.move(people, moves, unit)


def test_wrong_input(editor, people, tmp_path):
    for call, message in (
            (lambda: editor.read([]), 'no image'),
            (lambda: editor.read(pictures(1), 'box'), "'box'"),
            (lambda: editor.read([np.zeros((9, 9, 3))]), 'image 0 .*float64'),
            (lambda: editor.walk(people, 'left_knee', steps=1), '2 steps'),
            (lambda: editor.walk(people, 'left_knee', radius=0), 'radius'),
            (lambda: editor.walk(people, 'tail'), 'tail'),
            (lambda: editor.decode(people.keypoints, people.images[:2]),
             r'\(4, 32, 32, 3\), got')):
        with pytest.raises(ValueError, match=message):
            call()
    (tmp_path / 'a.jpg').write_bytes(b'<html>')
    with pytest.raises(ValueError, match=r'a\.jpg cannot be edited') as told:
        editor.read([tmp_path / 'a.jpg'])
    assert 'broken_samples' not in str(told.value)


def test_models_that_cannot_be_edited():
    with pytest.raises(TypeError, match='Linear makes no images'):
        PoseEditor(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match='generator.conditional=True'):
        PoseEditor(build(generator=dict(CFG['generator'],
                                        conditional=False)))
    with pytest.raises(ValueError, match='32 x 40 pixels; only square'):
        PoseEditor(build(renderer=dict(CFG['renderer'], size=(40, 32))))
    with pytest.warns(UserWarning, match='without a bottleneck'):
        PoseEditor(build(bottleneck=False))
    # A joint of no limb: Human3.6M's second right wrist.
    many = PoseEditor(build(
        head=dict(CFG['head'], skeleton='human36m_32'),
        renderer=dict(CFG['renderer'], skeleton='human36m_32')))
    assert len(many.drawn) == 17
    with pytest.raises(ValueError, match="no limb ends in 'right_wrist2'"):
        many.joint('right_wrist2')
