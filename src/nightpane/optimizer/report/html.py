"""The report as one HTML file, which loads nothing and runs nothing.

Markdown's own HTML is off, every link but the report's figures is refused, and a Content Security
Policy forbids the rest, so that nothing in a trace can act in a reader's browser.
"""

from __future__ import annotations

import base64
import html
import re

from nightpane.errors import MissingExtraError
from nightpane.optimizer.folder import Folder

__all__ = ["page"]

_FIGURE = re.compile(r"figures/[a-z_]+\.png")
_IMAGE = re.compile(r'<img src="(figures/[a-z_]+\.png)"')
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --ink: #1f2430; --soft: #5b6472; --line: #d9dde3;
  --paper: #fff; --panel: #f5f6f8; --accent: #0b63a5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --soft: #a3acba; --line: #363c47;
  --paper: #15181d; --panel: #1e232b; --accent: #6db3ea; } }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2.5rem auto 5rem; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin-top: 2.6rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin-top: 2rem; color: var(--accent); }
h4 { font-size: .95rem; margin-bottom: .3rem; }
table { border-collapse: collapse; font-size: .875rem; display: block; overflow-x: auto; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; }
td[style*=right], th[style*=right] { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
pre { background: var(--panel); padding: .8rem 1rem; overflow-x: auto; border-radius: .4rem;
  font-size: .82rem; white-space: pre-wrap; overflow-wrap: anywhere; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
img { max-width: 100%; background: #fff; border-radius: .4rem; padding: .4rem; }
blockquote { margin: 0; padding-left: 1rem; border-left: 3px solid var(--line);
  color: var(--soft); }
"""


def page(markdown: str, folder: Folder) -> str:
    """Return the HTML page of a report's Markdown, its figures inside."""
    try:
        from markdown_it import MarkdownIt
    except ModuleNotFoundError:
        raise MissingExtraError("optimizer") from None

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.validateLink = lambda url: _FIGURE.fullmatch(url) is not None  # type: ignore[method-assign]
    body = _IMAGE.sub(
        lambda match: f'<img src="{_data(folder, match[1])}"', renderer.render(markdown)
    )
    title = html.escape(markdown.partition("\n")[0].lstrip("# "))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _data(folder: Folder, name: str) -> str:
    try:
        image = folder.path(name).read_bytes()
    except FileNotFoundError:
        # A data text may spell an image of a figure that was not drawn; it shows nothing.
        return "data:,"
    return f"data:image/png;base64,{base64.b64encode(image).decode()}"
