"""Who owns an import name, and what to install."""
from __future__ import annotations

from pathlib import Path

import pytest

from mirrorpose.doctor import distributions
from mirrorpose.doctor.findings import Report
from mirrorpose.doctor.packages import (
    _check_owners,
    how_to_install,
    matching_torchvision,
    torchvision_requirement,
)


def fake_distribution(folder: Path, name: str, version: str, module: str):
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(
        f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
    (info / 'RECORD').write_text(f'{module}/__init__.py,,\n'
                                 f'{info.name}/METADATA,,\n')


@pytest.mark.parametrize('two, module, level, keep', [
    ((('opencv-python', '4.11'), ('opencv-python-headless', '4.11')), 'cv2',
     'note', 'opencv-python==4.11'),
    ((('opencv-python', '4.11'), ('opencv-python-headless', '5.0')), 'cv2',
     'problem', 'opencv-python==4.11'),
    ((('mmcv-lite', '2.2.0'), ('onedl-mmcv', '2.3.6')), 'mmcv', 'problem',
     'onedl-mmcv==2.3.6'),
    ((('mmcv', '2.1.0'), ('mmcv-lite', '2.1.0')), 'mmcv', 'problem',
     'mmcv==2.1.0')])
def test_two_owners_of_one_import_name(tmp_path, two, module, level, keep):
    for name, version in two:
        fake_distribution(tmp_path, name, version, module)
    found = distributions.installed([str(tmp_path)])
    assert {(d.name, d.version) for d in found} == set(two)
    report = Report()
    _check_owners(report, found)
    finding, = report.findings
    assert finding.level == level and all(n in finding.text for n, _ in two)
    assert finding.fix.endswith(f'install --no-deps {keep}')
    assert finding.fix.startswith('python -m pip uninstall -y ')


def test_one_owner_each(tmp_path):
    fake_distribution(tmp_path, 'mmcv-lite', '2.2.0', 'mmcv')
    fake_distribution(tmp_path, 'opencv-python', '4.11', 'cv2')
    report = Report()
    _check_owners(report, distributions.installed([str(tmp_path)]))
    assert [f.level for f in report.findings] == ['ok']


@pytest.mark.parametrize('torch, vision', [
    ('2.1.0', '0.16.0'), ('2.4.1+cu121', '0.19.1'), ('2.13.0+cpu', '0.28.0'),
    ('1.13.1', None), ('', None), (None, None)])
def test_torchvision_of_a_torch(torch, vision):
    assert matching_torchvision(torch) == vision


def test_torchvision_is_of_torchs_release_and_build():
    assert torchvision_requirement('2.4.1+cu121') == (
        'torchvision==0.19.1+cu121')
    assert torchvision_requirement('2.13.0') == 'torchvision==0.28.0'


def test_how_to_install(tmp_path):
    assert how_to_install(tmp_path) == 'python -m pip install mirrorpose'
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools' / 'install.sh').write_text('')
    assert how_to_install(tmp_path) == 'bash tools/install.sh --here'
    (tmp_path / '.venv').mkdir()
    (tmp_path / '.venv' / 'mirrorpose-install.json').write_text('{}')
    assert how_to_install(tmp_path).startswith(
        f'source {tmp_path}/.venv/bin/activate')
