"""Packaging of mirrorpose.

Everything that pip needs is here; tool settings are in ``pyproject.toml``. A
built distribution carries ``configs/`` and ``tools/`` in ``mirrorpose/.mim``,
where OpenMMLab packages keep theirs. Nothing of the mm stack is a requirement
(see ``requirements/runtime.txt``).
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
CARRIED = {'configs': ('.py', '.yml', '.md', '.json'), 'tools': ('.py', '.sh')}


def read_version() -> str:
    """Read the version without importing the package."""
    text = (ROOT / 'mirrorpose' / 'version.py').read_text(encoding='utf-8')
    found = re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE)
    if found is None:
        raise RuntimeError('mirrorpose/version.py holds no __version__')
    return found.group(1)


def read_requirements(name: str) -> list[str]:
    """Read requirements/``name``.txt without comments."""
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(
        encoding='utf-8').splitlines()
    stripped = (line.partition('#')[0].strip() for line in lines)
    return [line for line in stripped if line]


def read_readme() -> str:
    """Return README.md, or '' while there is none."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


class BuildWithConfigs(build_py):
    """Copy configs and tools into the built package.

    An editable installation does not need the copy: there, both lie beside
    the package.
    """

    def run(self) -> None:
        """Build the modules, then add the carried folders."""
        super().run()
        if self.editable_mode:
            return
        for source, target in self._carried():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)

    def _carried(self) -> list[tuple[Path, Path]]:
        base = Path(self.build_lib) / 'mirrorpose' / '.mim'
        pairs = []
        for folder, suffixes in CARRIED.items():
            for source in sorted((ROOT / folder).rglob('*')):
                if source.is_file() and source.suffix in suffixes:
                    pairs.append((source, base / source.relative_to(ROOT)))
        return pairs

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return what this command writes, carried files included."""
        outputs = super().get_outputs(include_bytecode)
        if self.editable_mode:
            return outputs
        return outputs + [str(target) for _, target in self._carried()]


if __name__ == '__main__':
    setup(
        name='mirrorpose',
        version=read_version(),
        description='Analysis by synthesis around a human pose: a plugin of '
        'mmpose',
        long_description=read_readme(),
        long_description_content_type='text/markdown',
        license='Apache-2.0',
        packages=find_packages(include=('mirrorpose', 'mirrorpose.*')),
        package_data={'mirrorpose': ['**/*.json', '**/*.html']},
        python_requires='>=3.10',
        install_requires=read_requirements('runtime'),
        extras_require={
            'tests': read_requirements('tests'),
            'optional': read_requirements('optional'),
        },
        cmdclass={'build_py': BuildWithConfigs},
        zip_safe=False,
    )
