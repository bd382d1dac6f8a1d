"""What is installed, what conflicts, and what optional parts would add.

Standard library only; every import is tried in a child process.
"""
from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from . import distributions as dists
from .distributions import Distribution, local_part, release
from .findings import Report
from .probes import Trial, run_trials

PACKAGES, CONFLICTS, OPTIONAL = ('Python and packages', 'Conflicts',
                                 'Optional parts')

#: What training cannot do without: import name, distribution, trial.
REQUIRED: tuple[tuple[str, str, str], ...] = (
    ('numpy', 'numpy', 'import numpy; result = numpy.__version__'),
    ('torch', 'torch', '''
import torch
result = dict(
    version=torch.__version__, cuda_build=torch.version.cuda,
    cuda=torch.cuda.is_available(),
    devices=[torch.cuda.get_device_name(i)
             for i in range(torch.cuda.device_count())])
(torch.ones(3, 3) @ torch.ones(3, 3)).sum().item()
'''),
    ('cv2', 'opencv-python', '''
import cv2, numpy
done, data = cv2.imencode(".jpg", numpy.zeros((16, 16, 3), numpy.uint8))
assert done and cv2.imdecode(data, 1).shape == (16, 16, 3)
result = cv2.__version__
'''),
    ('scipy', 'scipy', '''
import scipy, scipy.ndimage, scipy.optimize
result = scipy.__version__
'''),
    ('matplotlib', 'matplotlib',
     'import matplotlib; result = matplotlib.__version__'),
    ('PIL', 'pillow', 'import PIL.Image; result = PIL.__version__'),
    ('xtcocotools', 'xtcocotools', '''
from xtcocotools import mask
from xtcocotools.coco import COCO
'''),
    ('json_tricks', 'json_tricks', 'import json_tricks'),
    ('munkres', 'munkres', 'import munkres'),
    ('mmengine', 'mmengine', '''
import mmengine, mmengine.runner
result = mmengine.__version__
'''),
    ('mmcv', 'mmcv', 'import mmcv, mmcv.cnn; result = mmcv.__version__'),
    ('mmpose', 'mmpose', 'import mmpose; result = mmpose.__version__'),
)

#: What it can do without: import name, trial, what it adds, how to get it.
EXTRAS: tuple[tuple[str, str, str, str], ...] = (
    ('torchvision', '''
import torch, torchvision
torchvision.ops.nms(torch.tensor([[0., 0, 1, 1]]), torch.ones(1), .5)
result = torchvision.__version__
''', 'SimCC pictures and torchvision:// weights',
     'python -m pip install --no-deps {torchvision}'),
    ('mmcv._ext', 'import mmcv._ext', 'EDPose and deformable layers: mmcv '
     'with compiled operators',
     'python -m pip uninstall -y mmcv-lite && python -m pip install '
     '--no-deps --no-build-isolation mmcv==2.2.0  # compiles for minutes'),
    ('mmdet', 'import mmdet, mmdet.utils; result = mmdet.__version__',
     'RTMO, RTMPose configs with mmdet backbones, person detectors; mmdet '
     '3.3.0 wants mmcv below 2.2 with compiled operators', ''),
    ('tensorboard', '''
import tensorboard
from torch.utils.tensorboard import SummaryWriter
result = tensorboard.__version__
''', 'curves in TensorBoard', 'python -m pip install tensorboard'),
    ('albumentations',
     'import albumentations; result = albumentations.__version__',
     "mmpose's transform Albumentation",
     'python -m pip install albumentations  # brings a second cv2'),
)

#: Parts of an error's text, and what mends it.
HINTS: tuple[tuple[str, str], ...] = (
    ('numpy.dtype size changed', 'python -m pip install "numpy<2"'),
    ('_ARRAY_API', 'python -m pip install "numpy<2"'),
    ('numpy.core.multiarray failed', 'python -m pip install "numpy<2"'),
    ('Numpy is not available', 'python -m pip install "numpy<2"'),
    ('pkg_resources', 'python -m pip install "setuptools<81"'),
    ('libGL.so', 'python -m pip uninstall -y opencv-python && python -m pip '
     'install opencv-python-headless'),
    ('torchvision::nms', 'python -m pip uninstall -y torchvision'),
    ('MMCV==', 'python -m pip uninstall -y mmdet'),
    ('undefined symbol', 'python -m pip install --force-reinstall --no-deps '
     '{module}  # built for another torch'),
    ('already registered', 'python -m pip list  # two forks of one package?'),
)

NUMPY_TORCH = '''
import numpy, torch
assert torch.from_numpy(numpy.ones(3)).sum().item() == 3
assert torch.ones(3).numpy().sum() == 3
'''


def check_packages(report: Report, root: Path) -> None:
    """Adds the sections on packages, conflicts and optional parts.

    Args:
        report (Report): Gets the findings.
        root (Path): The folder that ``mirrorpose`` lies in.
    """
    found = dists.installed()
    install = how_to_install(root)
    _check_python(report)
    trials = [(name, code) for name, _, code in REQUIRED]
    trials += [('numpy and torch', NUMPY_TORCH)]
    trials += [(name, code) for name, code, _, _ in EXTRAS]
    outcome = run_trials(trials)
    for module, distribution, _ in REQUIRED:
        _check_required(report, outcome[module], distribution, found, install)
    absent = [m for m, _, _ in REQUIRED if outcome[m].absent == m]
    if absent:
        report.add(PACKAGES, 'problem', f'not installed: {", ".join(absent)}',
                   install)
    if not report.problems:  # what it would say has been told
        _check_own(report, root, install)
    _check_owners(report, found)
    _check_numpy(report, outcome)
    _check_pair(report, outcome, found)
    for name, _, adds, command in EXTRAS:
        if 'torch' not in absent:
            _check_extra(report, outcome[name], adds, command, found)
    names = dict.fromkeys([m for m, _, _ in REQUIRED]
                          + ['torchvision', 'mmdet', 'setuptools'])
    report.facts['python'] = sys.version.split()[0]
    report.facts['packages'] = {
        d.name: d.version for m in names for d in dists.owners(found, m)}
    torch = outcome['torch'].result
    report.facts['torch'] = torch if isinstance(torch, dict) else None


def how_to_install(root: Path) -> str:
    """The command that brings what is absent.

    Args:
        root (Path): The folder that ``mirrorpose`` lies in.
    """
    own = root / '.venv'
    if (own / 'mirrorpose-install.json').is_file() and \
            own.resolve() != Path(sys.prefix).resolve():
        return f'source {own}/bin/activate  # it is installed there'
    if (root / 'tools' / 'install.sh').is_file():
        return 'bash tools/install.sh --here'
    return 'python -m pip install mirrorpose'


def _check_python(report: Report) -> None:
    version, oldest = sys.version.split()[0], (3, 10)
    if sys.version_info[:2] < oldest:
        report.add(PACKAGES, 'problem', f'Python {version} is older than '
                   '3.10', 'bash tools/install.sh  # finds a newer one, or '
                   'says how to get it')
    else:
        kind = 'virtual environment' if sys.prefix != sys.base_prefix else \
            'no virtual environment'
        report.add(PACKAGES, 'ok', f'Python {version} in {sys.prefix} '
                   f'({kind})')


def hint(trial: Trial, module: str) -> str:
    """The command that mends a known fault, or ''."""
    text = f'{trial.error}\n{trial.whole}'
    for part, command in HINTS:
        if part in text:
            return command.format(module=module)
    return ''


def _version(trial: Trial, found: Sequence[Distribution],
             module: str) -> str:
    if isinstance(trial.result, str):
        return trial.result
    if isinstance(trial.result, dict):
        return str(trial.result['version'])
    return dists.version_of(found, module) or '(unknown version)'


def _check_required(report: Report, trial: Trial, distribution: str,
                    found: Sequence[Distribution], install: str) -> None:
    module = trial.name
    if trial.ok:
        owner = dists.owners(found, module)
        fork = f', from {owner[0].name}' if owner and dists.normal(
            owner[0].name) not in (dists.normal(distribution),
                                   module.lower()) else ''
        extra = ''
        if isinstance(trial.result, dict):
            extra = _devices(trial.result)
        report.add(PACKAGES, 'ok', f'{module} '
                   f'{_version(trial, found, module)}{fork}{extra}')
    elif trial.absent == module:
        return  # told together
    elif trial.absent:
        fix = hint(trial, module) or (
            install if trial.absent in {m for m, _, _ in REQUIRED} else
            f'python -m pip install {trial.absent}')
        report.add(PACKAGES, 'problem', f'{module} is installed, but needs '
                   f'{trial.absent}, which is not', fix)
    else:
        report.add(PACKAGES, 'problem', f'{module} is installed and does not '
                   f'work: {trial.error}', hint(trial, module) or
                   f'python -m pip install --force-reinstall --no-deps '
                   f'{distribution}')


def _devices(torch: dict) -> str:
    if torch['cuda']:
        return f', CUDA {torch["cuda_build"]}: {", ".join(torch["devices"])}'
    return ', CPU only' if not torch['cuda_build'] else \
        f', built for CUDA {torch["cuda_build"]}, no device found'


def _check_own(report: Report, root: Path, install: str) -> None:
    """``import mirrorpose`` as a config would, in a process of its own."""
    trial = run_trials([('mirrorpose', f'''
import sys
sys.path.insert(0, {str(root)!r})
import mirrorpose
result = [mirrorpose.__version__, mirrorpose.__file__]
''')])['mirrorpose']
    if trial.ok and isinstance(trial.result, list):
        version, file = trial.result
        report.facts['mirrorpose'] = version
        report.add(PACKAGES, 'ok', f'mirrorpose {version} imports, from '
                   f'{Path(file).parent}')
        return
    report.add(PACKAGES, 'problem', '`import mirrorpose` fails: '
               f'{trial.whole or trial.error}',
               hint(trial, 'mirrorpose') or install)


def _check_owners(report: Report, found: Sequence[Distribution]) -> None:
    """One import name, one distribution."""
    clean = True
    for module in dists.SHARED_NAMES:
        two = dists.owners(found, module)
        if len(two) < 2:
            continue
        clean = False
        names = ' and '.join(str(d) for d in two)
        same = len({d.version for d in two}) == 1
        harmless = module == 'cv2' and same
        report.add(
            CONFLICTS, 'note' if harmless else 'problem',
            f'{len(two)} distributions own the import name {module}: {names}'
            + ('; builds of one version, which works until one of them is '
               'upgraded or removed' if harmless else
               '; the later one has overwritten files of the other'),
            dists.reinstall([d.name for d in two],
                            f'{two[0].name}=={two[0].version}'))
    if clean:
        report.add(CONFLICTS, 'ok', 'every import name of the stack has one '
                   'owner')


def _check_numpy(report: Report, outcome: dict[str, Trial]) -> None:
    """numpy 2 with packages that were compiled against numpy 1."""
    joint = outcome['numpy and torch']
    both = outcome['numpy'].ok and outcome['torch'].ok
    if both and not joint.ok:
        report.add(CONFLICTS, 'problem', 'torch and numpy do not work '
                   f'together: {joint.error}', hint(joint, 'torch')
                   or 'python -m pip install "numpy<2"')
    elif both:
        report.add(CONFLICTS, 'ok', 'arrays pass between torch and numpy')


def matching_torchvision(torch: str | None) -> str | None:
    """The torchvision release that was made for a torch release.

    torch 2.n belongs to torchvision 0.(n + 15), with the same patch.
    """
    numbers = release(torch)
    if len(numbers) < 2 or numbers[0] != 2:
        return None
    patch = numbers[2] if len(numbers) > 2 else 0
    return f'0.{numbers[1] + 15}.{patch}'


def torchvision_requirement(torch: str | None) -> str:
    """What pip has to be asked for: that release, of torch's own build."""
    variant = local_part(torch)
    return f'torchvision=={matching_torchvision(torch)}' + (
        f'+{variant}' if variant else '')


def _check_pair(report: Report, outcome: dict[str, Trial],
                found: Sequence[Distribution]) -> None:
    """torch and torchvision of one release and one variant."""
    torch = dists.version_of(found, 'torch')
    vision = dists.version_of(found, 'torchvision')
    if vision is None or torch is None:
        return
    wanted = matching_torchvision(torch)
    trial = outcome['torchvision']
    variants = {local_part(torch), local_part(vision)} - {''}
    if not trial.ok:
        report.add(
            CONFLICTS, 'problem', f'torchvision {vision} does not work with '
            f'torch {torch}: {trial.error}. mmpose imports it where it is '
            'there, and mirrorpose works without it',
            'python -m pip uninstall -y torchvision')
    elif wanted and release(vision)[:2] != release(wanted)[:2]:
        report.add(CONFLICTS, 'note', f'torchvision {vision} is not the one '
                   f'that was made for torch {torch}',
                   'python -m pip install --no-deps '
                   + torchvision_requirement(torch))
    elif len(variants) > 1:
        report.add(CONFLICTS, 'note', f'torch {torch} and torchvision '
                   f'{vision} are of different builds',
                   'python -m pip install --no-deps '
                   + torchvision_requirement(torch))
    else:
        report.add(CONFLICTS, 'ok', f'torchvision {vision} fits torch '
                   f'{torch}, and its operators run')


def _check_extra(report: Report, trial: Trial, adds: str, command: str,
                 found: Sequence[Distribution]) -> None:
    top = trial.name.partition('.')[0]
    version = dists.version_of(found, top)
    command = command.format(torchvision=torchvision_requirement(
        dists.version_of(found, 'torch')))
    if trial.ok:
        title = 'compiled operators of mmcv' if trial.name == 'mmcv._ext' \
            else f'{trial.name} {_version(trial, found, top)}'
        report.add(OPTIONAL, 'ok', f'{title}: {adds}')
    elif trial.name == 'mmcv._ext':
        if trial.absent in ('mmcv._ext', 'mmcv') and not trial.died:
            report.add(OPTIONAL, 'note', f'not installed: {adds}', command)
        else:
            report.add(CONFLICTS, 'problem', 'the compiled operators of mmcv '
                       f'do not load: {trial.error}. They were built for '
                       'another torch', 'python -m pip uninstall -y mmcv && '
                       'python -m pip install --no-deps mmcv-lite==2.2.0')
    elif trial.absent == trial.name and version is None:
        report.add(OPTIONAL, 'note', f'{trial.name} is not installed; it '
                   f'would add {adds}', command)
    elif trial.name == 'torchvision':
        return  # told among the conflicts
    elif trial.name == 'mmdet':
        report.add(CONFLICTS, 'problem', f'mmdet {version} is installed and '
                   f'does not work: {trial.error}. mmpose imports it where '
                   'it is there', 'python -m pip uninstall -y mmdet')
    else:
        report.add(OPTIONAL, 'note', f'{trial.name} is installed and does '
                   f'not work: {trial.error}', hint(trial, trial.name)
                   or f'python -m pip uninstall -y {trial.name}')
