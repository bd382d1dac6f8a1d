"""The page of a report: its style and its sections."""
from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem 1.2rem 4rem; max-width: 1180px;
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; color: #1d2329;
  background: #fff; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .6rem 0 .3rem; }
h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; padding-top: .7rem;
  border-top: 1px solid #d9dee3; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
p { max-width: 75ch; margin: .4rem 0 .8rem; }
nav a { margin-right: 1rem; } a { color: #1f5fa8; }
small, .faint { color: #5b6670; }
small { font-size: .82em; }
.better { color: #1d7a35; } .worse { color: #b3261e; }
.notes { background: #fff6e0; border: 1px solid #ecd9a4; border-radius: 6px;
  padding: .6rem 1rem; margin: 1rem 0; }
.notes ul { margin: .3rem 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .4rem 0 1rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid #e4e8ec; }
thead th { border-bottom: 2px solid #aab4bd; font-weight: 600; }
.scores td, .scores thead th { text-align: right; white-space: nowrap; }
.scores .total { font-weight: 600; background: #f4f7fa; }
dl.facts { display: grid; grid-template-columns: max-content 1fr;
  gap: .15rem 1rem; margin: .4rem 0 1rem; }
dl.facts dt { color: #5b6670; } dl.facts dd { margin: 0;
  overflow-wrap: anywhere; }
.curves { display: grid; gap: .8rem;
  grid-template-columns: repeat(auto-fill, minmax(min(340px, 100%), 1fr)); }
.curves img { width: 100%; height: auto; border: 1px solid #e4e8ec;
  border-radius: 4px; }
.row { display: grid; gap: .5rem; margin: .3rem 0 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); }
.sheet { display: grid; gap: 4px; margin: .3rem 0; min-width: 34rem; }
figure { margin: 0; } figure img, .sheet img { width: 100%; height: auto;
  display: block; border-radius: 3px; image-rendering: pixelated; }
.sheet figure { display: flex; flex-direction: column;
  justify-content: flex-end; }
figcaption { font-size: .78rem; line-height: 1.3; color: #48525b;
  padding: .15rem 0; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin: 0 .3em 0 .8em; }
"""

class Section(NamedTuple):
    """A section of the report; ``html`` is inserted as it is."""

    title: str
    html: str


def page(title: str, sections: Sequence[Section],
         notes: Sequence[str]) -> str:
    """The whole HTML page."""
    links = ''.join(f'<a href="#s{i}">{escape(s.title)}</a>'
                    for i, s in enumerate(sections))
    body = ''.join(f'<section id="s{i}"><h2>{escape(s.title)}</h2>{s.html}'
                   '</section>' for i, s in enumerate(sections))
    box = ''
    if notes:
        items = ''.join(f'<li>{escape(n)}</li>'
                        for n in dict.fromkeys(notes))
        box = ('<div class="notes"><strong>What is missing</strong>'
               f'<ul>{items}</ul></div>')
    return ('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, '
            f'initial-scale=1"><title>{escape(title)}</title>'
            f'<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>'
            f'<nav>{links}</nav>{box}{body}</body></html>\n')


# -- what was run ---------------------------------------------------------
