"""The layout and style of self-contained HTML pages."""

from __future__ import annotations

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 68rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .25rem .75rem
       .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; white-space: nowrap; } td:first-child { white-space: nowrap; }
.counts { display: flex; gap: 2rem; flex-wrap: wrap; } .counts b { display: block;
       font-size: 1.8rem; } .failed b { color: #b00020; }
.sheet { display: flex; flex-wrap: wrap; gap: .75rem; } figure { margin: 0; width: 160px; }
figure img { background: #000; width: 160px; height: 160px; object-fit: contain; }
figcaption { font-size: 12px; color: #555; overflow-wrap: anywhere; }
"""


def make_page(title: str, body: str, *, style: str = "") -> str:
    """Make a page from ``title`` (text without markup), ``body`` (HTML) and more CSS, ``style``."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{title}</title><style>{STYLE}{style}</style></head><body>\n"
        f"<h1>{title}</h1>\n{body}</body></html>\n"
    )
