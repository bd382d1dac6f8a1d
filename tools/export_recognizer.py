"""Write the recognizer alone, as a plain mmpose config and checkpoint.

    python tools/export_recognizer.py configs/mirrornet_small_lsp.py \
        work_dirs/mirrornet_small_lsp/semi_supervised/epoch_30.pth exported/

Then, without mirrorpose:

    from mmpose.apis import inference_topdown, init_model
    model = init_model('exported/recognizer.py', 'exported/recognizer.pth',
                       device='cpu')
    people = inference_topdown(model, 'image.jpg')

The environment has to be one in which mmpose itself can be imported. mmpose
1.3 imports three packages that a top-down recognizer does not use: mmdet,
torchvision, and the compiled operators of mmcv (mmcv-lite has none). Where
one is absent, `import mmpose.apis` fails; that has nothing to do with the
exported files. (mirrorpose stands in for them, if it may be there.)
"""

from __future__ import annotations

import argparse
import sys
import warnings

import cli


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write the recognizer of a model as a plain mmpose '
        'config and checkpoint',
        epilog='The exported files need mmpose alone, and mmpose 1.3 needs, '
        'to be imported: torchvision, mmdet, and an mmcv with compiled '
        'operators (not mmcv-lite).')
    parser.add_argument('config', metavar='CONFIG',
                        help='of the model, a curriculum, or a stage of it')
    parser.add_argument('checkpoint', metavar='CHECKPOINT',
                        help='of any stage that has the recognizer')
    parser.add_argument('out_dir', metavar='OUT_DIR',
                        help='gets recognizer.py and recognizer.pth')
    parser.add_argument('--raw-weights', action='store_true',
                        help='where weights were averaged (EMAHook): the '
                        'last ones instead of the averages')
    parser.add_argument('--trust-checkpoint', action='store_true',
                        help='unpickle a checkpoint that holds more than '
                        'tensors and plain data; this can run any code')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Export as the command line says.

    Raises:
        cli.UsageError: Config or checkpoint is missing or does not fit, or
            the recognizer cannot leave mirrorpose.
    """
    args = parse_args(argv)
    cli.require_config(args.config)
    cli.require_checkpoint(args.checkpoint)
    warnings.filterwarnings('ignore', 'pkg_resources is deprecated')
    from mirrorpose.apis.export import export_recognizer
    try:
        done = export_recognizer(cli.load_config(args.config),
                                 args.checkpoint, args.out_dir,
                                 args.raw_weights, args.trust_checkpoint)
    except (OSError, ValueError) as error:
        raise cli.UsageError(str(error)) from error
    for path in (done.config, done.checkpoint, *done.modules):
        print(f'{path} ({path.stat().st_size / 1e6:.2f} MB)')


if __name__ == '__main__':
    sys.exit(cli.run(main))
