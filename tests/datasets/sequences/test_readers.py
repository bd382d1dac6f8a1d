"""BVH and ASF/AMC files against matrices written out, and against pybvh."""
from __future__ import annotations

import numpy as np
import pytest

from mirrorpose.datasets.sequences.clips import SKELETON
from mirrorpose.datasets.sequences.readers import (
    JOINT_MAPS,
    read_amc,
    read_asf,
    read_bvh,
    read_motion,
)

BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 1.0 2.0 3.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0.0 10.0 0.5
    CHANNELS %s
    End Site
    {
      OFFSET 0.0 5.0 0.0
    }
  }
  JOINT Leg_L
  {
    OFFSET 4.0 -1.0 0.0
    CHANNELS 3 Yrotation Zrotation Xrotation
    JOINT Foot_L
    {
      OFFSET 0.0 -9.0 1.0
      CHANNELS 3 Zrotation Yrotation Xrotation
      End Site
      {
        OFFSET 0.0 -1.0 2.0
      }
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.0333333
%s
"""
PLAIN = '3 Zrotation Xrotation Yrotation'
SIX = '6 Xposition Yposition Zposition Zrotation Xrotation Yrotation'

ASF = """# a comment
:version 1.10
:name test
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
   lines that mean nothing
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 1 2 3
   orientation 0 0 0
:bonedata
  begin
     id 1
     name lfemur
     direction 0.34202 -0.939693 0
     length 7.0
     axis 0 0 20  XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 2
     name ltibia
     direction 0.34202 -0.939693 0
     length 7.5
     axis 10 -30 20  XYZ
    dof rx
    limits (-10.0 170.0)
  end
  begin
     id 3
     name lfoot
     direction 0.1 -0.2 0.9
     length 2.0
     axis -90 7 20  XYZ
    dof rx rz
    limits (-45.0 90.0)
           (-70.0 20.0)
  end
  begin
     id 4
     name thorax
     direction 0 1 0
     length 5.0
     axis 0 0 0  XYZ
  end
:hierarchy
  begin
    root lfemur thorax
    lfemur ltibia
    ltibia lfoot
  end
"""
AMC = """#!OML:ASF
:FULLY-SPECIFIED
:DEGREES
1
root 0.5 -1 2 10 20 30
lfemur 5 -7 11
ltibia 40
lfoot -12 8
2
root 1 -1 2 -50 80 130
lfemur 25 17 -31
ltibia 95
lfoot 3 -20
"""


def turn(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return dict(
        x=np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        y=np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        z=np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]))[axis]


def bvh_text(channels: str, table: np.ndarray) -> str:
    return BVH % (channels, '\n'.join(
        ' '.join(f'{v:.6f}' for v in row) for row in table))


def table_of(width: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.round(rng.uniform(-80, 80, (3, width)), 3)


@pytest.mark.parametrize('channels, width', [(PLAIN, 15), (SIX, 18)])
def test_bvh_against_matrices(tmp_path, channels, width):
    table = table_of(width)
    path = tmp_path / 'a.bvh'
    path.write_text(bvh_text(channels, table))
    motion = read_bvh(path)
    assert motion.nodes == ('Hips', 'Spine', 'Spine_end', 'Leg_L', 'Foot_L',
                            'Foot_L_end')
    assert abs(motion.fps - 30) < 1e-3
    for frame, row in zip(motion.positions, table):
        hips = row[:3]  # positions take the place of the offset
        a = turn('z', row[3]) @ turn('x', row[4]) @ turn('y', row[5])
        row = row[6:]
        move = np.array([0, 10, .5])
        if channels is SIX:
            move, row = row[:3], row[3:]
        b = a @ turn('z', row[0]) @ turn('x', row[1]) @ turn('y', row[2])
        c = a @ turn('y', row[3]) @ turn('z', row[4]) @ turn('x', row[5])
        d = c @ turn('z', row[6]) @ turn('y', row[7]) @ turn('x', row[8])
        spine = hips + a @ move
        leg = hips + a @ [4, -1, 0]
        foot = leg + c @ [0, -9, 1]
        np.testing.assert_allclose(frame, [
            hips, spine, spine + b @ [0, 5, 0], leg, foot,
            foot + d @ [0, -1, 2]], atol=1e-9)


def test_bvh_against_pybvh(tmp_path):
    pybvh = pytest.importorskip(
        'pybvh', reason='pybvh, the independent reader, is not installed')
    path = tmp_path / 'a.bvh'
    path.write_text(bvh_text(PLAIN, table_of(15)))
    other = pybvh.read_bvh_file(path, world_up='+y')
    np.testing.assert_allclose(read_bvh(path).positions,
                               other.node_positions(), atol=1e-6)
    assert other.fps == pytest.approx(30)


@pytest.mark.parametrize('change, message', [
    (lambda t: t.replace('MOTION', ''), 'MOTION'),
    (lambda t: t.replace('Frames: 3', 'Frames: 4'), 'cut off'),
    (lambda t: t.replace('Frames: 3', 'Frames: 0'), '0 frames'),
    (lambda t: t.replace('Frame Time:', 'Time:'), 'Frame Time'),
    (lambda t: t.replace('OFFSET 4.0', 'OFFSET'), 'HIERARCHY'),
    (lambda t: t.replace('Zrotation Xrotation Yrotation\n  JOINT',
                         'Zrotation Xrotation Wrotation\n  JOINT'), 'Wrot'),
    (lambda t: t.replace('ROOT', 'JOINT'), 'outside'),
    (lambda t: t.replace('}\nMOTION', 'MOTION'), 'left open'),
    (lambda t: t[:-12] + 'x\n', 'cut off|convert'),
])
def test_bad_bvh(tmp_path, change, message):
    path = tmp_path / 'a.bvh'
    path.write_text(change(bvh_text(PLAIN, table_of(15))))
    with pytest.raises(ValueError, match=message) as error:
        read_bvh(path)
    assert 'a.bvh' in str(error.value)


def write_acclaim(folder, asf=ASF, amc=AMC):
    (folder / 'a.asf').write_text(asf)
    (folder / 'a_01.amc').write_text(amc)
    return folder / 'a_01.amc'


def test_acclaim_against_matrices(tmp_path):
    """Local rotation C M C', axes in the world, x first: Rz Ry Rx."""
    def euler(x, y, z):
        return turn('z', z) @ turn('y', y) @ turn('x', x)

    motion = read_motion(write_acclaim(tmp_path), fps=120.)
    assert motion.nodes == ('root', 'lfemur', 'thorax', 'ltibia', 'lfoot')
    assert motion.fps == 120
    for frame, (root, femur, tibia, foot) in zip(motion.positions, (
            ((.5, -1, 2, 10, 20, 30), (5, -7, 11), (40, 0, 0), (-12, 0, 8)),
            ((1, -1, 2, -50, 80, 130), (25, 17, -31), (95, 0, 0),
             (3, 0, -20)))):
        place = np.array([1, 2, 3]) + root[:3]
        whole = euler(*root[3:])
        want = [place, None, place + whole @ [0, 5, 0]]
        for vector, length, axis, angles in (
                ((.34202, -.939693, 0), 7, (0, 0, 20), femur),
                ((.34202, -.939693, 0), 7.5, (10, -30, 20), tibia),
                ((.1, -.2, .9), 2, (-90, 7, 20), foot)):
            own = euler(*axis)
            whole = whole @ own @ euler(*angles) @ np.linalg.inv(own)
            place = place + whole @ (
                np.array(vector) / np.linalg.norm(vector)) * length
            want.append(place)
        want[1] = want.pop(3)
        np.testing.assert_allclose(frame, want, atol=1e-9)


def test_the_rest_pose_of_a_skeleton(tmp_path):
    """With all angles 0 every bone points where its direction says."""
    zero = ':DEGREES\n1\nroot 0 0 0 0 0 0\nlfemur 0 0 0\nltibia 0\nlfoot 0 0'
    place = read_motion(write_acclaim(tmp_path, amc=zero),
                        fps=120.).positions[0]
    np.testing.assert_allclose(place[0], [1, 2, 3])
    np.testing.assert_allclose(
        (place[1] - place[0]) / 7, [.34202, -.939693, 0], atol=1e-6)
    assert np.isclose(np.linalg.norm(place[4] - place[3]), 2)


def test_radians(tmp_path):
    degrees = read_motion(write_acclaim(tmp_path), fps=1.).positions
    lines = []
    for line in AMC.replace(':DEGREES', ':RADIANS').splitlines():
        words = line.split()
        if words and words[0] in ('root', 'lfemur', 'ltibia', 'lfoot'):
            split = 4 if words[0] == 'root' else 1
            words[split:] = [str(np.radians(float(w)))
                             for w in words[split:]]
        lines.append(' '.join(words))
    text = '\n'.join(lines)
    np.testing.assert_allclose(
        read_motion(write_acclaim(tmp_path, amc=text), fps=1.).positions,
        degrees, atol=1e-6)


@pytest.mark.parametrize('asf, amc, message', [
    (ASF.replace(':hierarchy', ':other'), AMC, 'hierarchy'),
    (ASF.replace('lfemur ltibia', 'lfemur tail'), AMC, 'tail'),
    (ASF.replace('dof rx rz', 'dof rx l'), AMC, "'l'"),
    (ASF.replace('length 7.5', 'lengthy 7.5'), AMC, 'length'),
    (ASF, AMC.replace('ltibia 95\n', ''), 'ltibia'),
    (ASF, AMC.replace('ltibia 95', 'ltibia 95 3'), 'line 12'),
    (ASF, AMC.replace('ltibia 95', 'tail 95'), 'tail'),
    (ASF, AMC.replace('ltibia 95', 'ltibia x'), 'line 12'),
    (ASF, ':DEGREES\n', 'no frame'),
])
def test_bad_acclaim(tmp_path, asf, amc, message):
    with pytest.raises(ValueError, match=message):
        read_motion(write_acclaim(tmp_path, asf, amc), fps=120.)


def test_what_a_file_needs(tmp_path):
    path = write_acclaim(tmp_path)
    with pytest.raises(ValueError, match='CMU: 120'):
        read_motion(path)
    (tmp_path / 'b.asf').write_text(ASF)
    with pytest.raises(ValueError, match='b.asf'):
        read_motion(path, fps=120.)
    read_motion(path, asf='b.asf', fps=120.)
    with pytest.raises(ValueError, match='c3d'):
        read_motion(tmp_path / 'a.c3d')
    (tmp_path / 'a.bvh').write_text(bvh_text(PLAIN, table_of(15)))
    with pytest.raises(ValueError, match='own rate'):
        read_motion(tmp_path / 'a.bvh', fps=30.)
    assert read_amc(path, read_asf(tmp_path / 'a.asf'), 60.).fps == 60


def test_joint_maps_are_those_of_the_real_archives(data_root):
    """The maps make the matrices with which the archives were prepared."""
    for name, file in (('cmu_asf', 'cmu31'), ('bandai_bvh', 'bandai26')):
        path = data_root / f'mocap/{file}_30fps.npz'
        if not path.is_file():
            pytest.skip(f'no {path.name} in MIRRORPOSE_DATA')
        with np.load(path) as data:
            nodes, to28 = data['joint_names'].tolist(), data['to28']
        own = np.zeros_like(to28)
        for joint, made in JOINT_MAPS[name].items():
            row = SKELETON.joints.index(joint)
            for node, weight in (made if isinstance(made, dict)
                                 else {made: 1}).items():
                own[row, nodes.index(node)] = weight
        np.testing.assert_array_equal(own, to28)


def test_a_map_that_does_not_fit(tmp_path):
    (tmp_path / 'a.bvh').write_text(bvh_text(PLAIN, table_of(15)))
    motion = read_bvh(tmp_path / 'a.bvh')
    with pytest.raises(ValueError, match='Chest'):
        motion.matrix(JOINT_MAPS['bandai_bvh'])
    with pytest.raises(ValueError, match='nose'):
        motion.matrix(dict(nose='Hips'))
    matrix = motion.matrix(dict(pelvis='Hips', neck={'Spine': .5,
                                                     'Spine_end': .5}))
    assert matrix.sum() == 2 and matrix[4, 0] == 1 and matrix[5, 1] == .5
