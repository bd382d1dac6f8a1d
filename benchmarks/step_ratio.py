"""What MirrorNet costs more than its recognizer: a step, and a prediction.

    python benchmarks/step_ratio.py [CONFIG] --batch 4

Both networks take turns on the same batch in one process, in every precision
and layout that is asked for. The paper's Table 8 counts the multiply-adds of
a forward pass: 18.64 G in training to 9.49 G of HRNet-W32, 1.96 times. What a
step computes is less, and is counted beside its time; it is the floor of the
ratio for implementations that are equally good at both: transposed
convolutions do a quarter of what the paper counts (at output positions), no
variance branch is built where variances are fixed (both: 16.22 G forward),
and the frozen mask estimator has no backward pass.
"""
from __future__ import annotations

import argparse
import copy
import json
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

import mirrorpose  # noqa: F401
from mirrorpose.doctor.ratio import compare, render

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / 'benchmarks' / 'results' / 'step_ratio.json'
#: Name to (optimizer wrapper, channels_last).
FORMS = {'fp32': ('OptimWrapper', False),
         'bf16': ('AutocastOptimWrapper', True)}


def table8() -> tuple[float, float]:
    """The paper's ratio of multiply-adds, and ours, as last counted."""
    rows = {r['name']: r for r in json.loads(
        (ROOT / 'benchmarks/results/table8.json').read_text())}
    whole, alone = rows['Training, HRNet-W32'], rows['HRNet-W32']
    return (whole['paper_multiply_adds'] / alone['paper_multiply_adds'],
            whole['multiply_adds'] / alone['multiply_adds'])


def measure(cfg: Config, form: str, batch: int, iterations: int) -> dict:
    """The comparison in one precision and layout."""
    cfg = copy.deepcopy(cfg)
    wrapper, channels_last = FORMS[form]
    cfg.optim_wrapper = dict(type=wrapper)
    cfg.channels_last = channels_last
    torch.manual_seed(0)
    return compare(cfg, batch, iterations)


def main() -> None:
    """Prints the comparisons and writes them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', nargs='?', type=Path,
                        default=ROOT / 'configs/mirrornet_hrnet_lsp.py')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--iterations', type=int, default=5)
    parser.add_argument('--forms', nargs='+', choices=list(FORMS),
                        default=list(FORMS))
    parser.add_argument('--out', type=Path, default=RESULT)
    args = parser.parse_args()
    init_default_scope('mmpose')
    MMLogger.get_instance('step_ratio', log_level='ERROR')
    cfg = Config.fromfile(args.config)
    paper, ours = table8()
    out: dict[str, Any] = dict(
        config=args.config.name, paper_multiply_add_ratio=paper,
        our_multiply_add_ratio=ours, forms={})
    for form in args.forms:
        found = measure(cfg, form, args.batch, args.iterations)
        out['forms'][form] = found
        print(f'{form}: {render(found)}', flush=True)
    print(f'multiply-adds of a forward pass (Table 8): {paper:.2f}, ours '
          f'{ours:.2f}')
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(out, indent=1) + '\n')


if __name__ == '__main__':
    main()
