"""What the machine allows."""
from __future__ import annotations

import pytest

from mirrorpose.doctor import machine


@pytest.mark.parametrize('text, cores', [
    ('150000 100000', 1.5), ('max 100000', None), ('nonsense', None)])
def test_cpu_quota_of_a_container(tmp_path, text, cores):
    (tmp_path / 'cpu.max').write_text(text)
    assert machine._cpu_quota(tmp_path) == cores


def test_a_folder_that_cannot_be_written(tmp_path):
    assert machine.can_write(tmp_path / 'a' / 'b') == ''
    file = tmp_path / 'file'
    file.write_text('')
    assert 'is no folder' in machine.can_write(file / 'below')
