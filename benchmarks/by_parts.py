"""Benchmarks of several parts, added to one file part by part."""
from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger

from mirrorpose.utils.files import write_text


def run_parts(text: str | None, parts: Mapping[str, Callable[[], Any]],
              out: Path) -> None:
    """Measures the parts that the command line names; all by default.

    Args:
        text (str, optional): The benchmark's docstring.
        parts (Mapping[str, Callable]): What each part measures.
        out (Path): JSON file; parts that are not run stay as they are.
    """
    parser = argparse.ArgumentParser(
        description=(text or '').partition('\n')[0])
    parser.add_argument('--only', nargs='+', choices=list(parts),
                        default=list(parts))
    args = parser.parse_args()
    torch.set_num_threads(1)
    MMLogger.get_instance('mmengine').setLevel('ERROR')
    for name in args.only:
        found = parts[name]()
        held = json.loads(out.read_text()) if out.is_file() else {}
        held[name] = found
        write_text(out, json.dumps(held, indent=1) + '\n')
    print('written to', out)
