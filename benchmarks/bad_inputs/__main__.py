"""Writes docs/bad_inputs.md, or checks it."""
from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--check', action='store_true',
                        help='write nothing; 1 where the page is outdated')
    args = parser.parse_args()
    import mirrorpose  # noqa: F401

    from . import PAGE, page
    text = page()
    if args.check:
        return int(not PAGE.is_file() or PAGE.read_text() != text)
    PAGE.write_text(text)
    print(f'{PAGE}: {text.count(chr(10))} lines')
    return 0


if __name__ == '__main__':
    sys.exit(main())
