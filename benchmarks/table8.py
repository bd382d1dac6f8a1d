"""Parameters and multiply-adds against the paper's Table 8.

    python benchmarks/table8.py

Multiply-adds are counted as the paper's source does: convolutions and linear
layers only, transposed convolutions at their output positions, in units of
2^30, for one 256 x 256 image. Nothing is computed (meta tensors).
"""
from __future__ import annotations

import json
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import nn

import mirrorpose  # noqa: F401

ROOT = Path(__file__).resolve().parents[1]
#: Table 8, LSP column: (parameters in M, multiply-adds in G).
PAPER = {
    'Hourglass': (25.59, 26.17), 'ResNet-50': (34.00, 11.99),
    'HRNet-W32': (28.54, 9.49), 'Appearance recognizer': (5.28, 1.11),
    'Scene recognizer': (5.28, 1.11), 'Image generator': (12.84, 3.25),
    'Mask estimator': (10.28, 1.42), 'Primitive recognizer': (5.29, 1.13),
    'Pose generator': (1.33, 1.13), 'Training, Hourglass': (65.89, 35.32),
    'Training, ResNet-50': (74.30, 21.14),
    'Training, HRNet-W32': (68.84, 18.64),
}
RECOGNIZERS = {'Hourglass': 'hourglass', 'ResNet-50': 'resnet50',
               'HRNet-W32': 'hrnet'}


def multiply_adds(module: nn.Module, *inputs: torch.Tensor) -> float:
    """Multiply-adds of one forward pass, in units of 2^30."""
    total = [0.]

    def count(layer: nn.Module, _: tuple, out: torch.Tensor) -> None:
        # At the output's positions, also for transposed convolutions.
        total[0] += out[0].numel() * layer.weight.numel() / \
            out.shape[1] if not isinstance(layer, nn.ConvTranspose2d) else \
            out[0, 0].numel() * layer.weight.numel()

    hooks = [m.register_forward_hook(count) for m in module.modules()
             if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))]
    with torch.no_grad():
        module(*inputs)
    for hook in hooks:
        hook.remove()
    return total[0] / 2**30


def rows() -> dict[str, tuple[float, float]]:
    """Name to (parameters in M, multiply-adds in G) of ours."""
    init_default_scope('mmpose')
    out: dict[str, tuple[float, float]] = {}

    def add(name: str, module: nn.Module, *inputs: torch.Tensor) -> None:
        parameters = sum(p.numel() for p in module.parameters()) / 1e6
        out[name] = (parameters, multiply_adds(module.eval(), *inputs))

    def blank(*shape: int) -> torch.Tensor:
        return torch.empty(1, *shape, device='meta')

    x, small, maps, latent = (blank(3, 256, 256), blank(3, 64, 64),
                              blank(16, 64, 64), blank(256, 8, 8))
    for title, name in RECOGNIZERS.items():
        cfg = Config.fromfile(ROOT / f'configs/mirrornet_{name}_lsp.py')
        model = MODELS.build(cfg.model).to('meta')
        recognizer = nn.Sequential(model.backbone, model.head)
        add(title, recognizer, x)
        vae, pose = model.image_vae, model.pose_vae
        add('Appearance recognizer', vae.appearance_recognizer, small)
        add('Scene recognizer', vae.scene_recognizer, small)
        # The variance branch counts, trained or not.
        vae.generator.head.learn_variance = True
        pose.generator.head.learn_variance = True
        add('Image generator', vae.generator, maps, latent, latent)
        add('Mask estimator', model.mask_estimator, small, maps)
        add('Primitive recognizer', pose.recognizer, maps)
        add('Pose generator', pose.generator, latent)
        parts = [title, *list(PAPER)[3:9]]
        out[f'Training, {title}'] = (sum(out[p][0] for p in parts),
                                     sum(out[p][1] for p in parts))
    return {name: out[name] for name in PAPER}


def main() -> None:
    """Prints the table and writes it as JSON."""
    print(f'{"":22s} {"params":>8s} {"paper":>8s} {"":>7s} '
          f'{"mult-add":>8s} {"paper":>8s}')
    table = []
    for name, (params, adds) in rows().items():
        paper = PAPER[name]
        print(f'{name:22s} {params:7.2f}M {paper[0]:7.2f}M '
              f'{100 * (params / paper[0] - 1):+6.1f}% {adds:7.2f}G '
              f'{paper[1]:7.2f}G {100 * (adds / paper[1] - 1):+6.1f}%')
        table.append(dict(name=name, params_millions=round(params, 4),
                          paper_params_millions=paper[0],
                          multiply_adds=round(adds, 4),
                          paper_multiply_adds=paper[1]))
    path = ROOT / 'benchmarks' / 'results' / 'table8.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(table, indent=1) + '\n')


if __name__ == '__main__':
    main()
