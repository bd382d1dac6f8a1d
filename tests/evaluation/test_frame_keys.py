"""Pr-VIPE's frame keys, as its files have them."""
from __future__ import annotations

import pytest

from mirrorpose.evaluation.frame_keys import (
    FrameKey,
    comparable,
    parse_key,
    read_frame_keys,
    select,
)

H36M = ('S11:Directions 1:54138969:000020\n'
        'S11:Directions 1:54138969:000030\n'
        'S9:WalkingDog:54138969:001000\n')
MPI = 'S1:Seq1:V0:C0:003370\nS8:Seq2:V0:C0:000010\n'


def test_published_formats(tmp_path):
    h36m, mpi = tmp_path / 'h36m-val-C0.txt', tmp_path / '3dhp-train-C0.txt'
    h36m.write_text(H36M)
    mpi.write_text(MPI + '\n')
    keys = read_frame_keys([h36m, mpi])
    assert keys == [
        FrameKey('S11', 'Directions 1', '54138969', 20),
        FrameKey('S11', 'Directions 1', '54138969', 30),
        FrameKey('S9', 'WalkingDog', '54138969', 1000),
        FrameKey('S1', 'Seq1', 'C0', 3370), FrameKey('S8', 'Seq2', 'C0', 10)]
    assert set(read_frame_keys(tmp_path)) == set(keys)


def test_csv(tmp_path):
    path = tmp_path / 'keys.csv'
    path.write_text('frame,camera,subject,sequence\n7,left,anna,run\n')
    assert read_frame_keys(str(path)) == [FrameKey('anna', 'run', 'left', 7)]
    path.write_text('frame,camera,subject\n7,left,anna\n')
    with pytest.raises(ValueError, match='sequence'):
        read_frame_keys(path)


@pytest.mark.parametrize('text', [
    'S1:Seq1:C0', 'S1:Seq1:C0:x1', 'S1::C0:1', 'S1:Seq1:V1:C0:3',
    'a:b:c:d:e:f'])
def test_no_key(text, tmp_path):
    with pytest.raises(ValueError, match='frame key'):
        parse_key(text)
    path = tmp_path / 'keys.txt'
    path.write_text(f'{MPI}{text}\n')
    with pytest.raises(ValueError, match='keys.txt, line 3'):
        read_frame_keys(path)


def test_files(tmp_path):
    with pytest.raises(FileNotFoundError, match='poem/eval/frames'):
        read_frame_keys(tmp_path)
    with pytest.raises(FileNotFoundError, match='nothing'):
        read_frame_keys(tmp_path / 'nothing.txt')
    path = tmp_path / 'twice.txt'
    path.write_text(MPI + MPI)
    with pytest.raises(ValueError, match='twice'):
        read_frame_keys(path)


@pytest.mark.parametrize('one, other', [
    (('S11', 'Directions 1', '54138969', 20),
     ('s11', 'S11_Directions_1', 54138969, 20)),
    (('S1', 'Seq1', 'C0', 3370), ('S1', 'S1/Seq1', 'video_0', 3370)),
    (('S1', 'Seq1', 'C10', 3370), ('S1', 'S1_Seq1', '10', 3370))])
def test_spellings(one, other):
    assert comparable(*one) == comparable(*other)


def test_what_differs():
    one = comparable('S1', 'Seq1', 'C1', 5)
    assert one != comparable('S1', 'Seq1', 'C10', 5)
    assert one != comparable('S1', 'Seq2', 'C1', 5)
    assert one != comparable('S11', 'Seq1', 'C1', 5)
    assert one != comparable('S1', 'Seq1', 'C1', 6)


def test_select():
    keys = [parse_key(line) for line in H36M.splitlines()]
    rows = [('S11', 'S11_Directions 1', '54138969', f) for f in range(40)]
    found, lost = select(keys, *zip(*rows))
    assert found == [20, 30] and lost == keys[2:]
    with pytest.raises(ValueError, match='frame_offset=1'):
        select(keys[:1], *zip(*rows[:5]))
