"""Text from the data in Markdown and HTML: shown as it is, and unable to do anything."""

from __future__ import annotations

import html as escapes
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from nightpane.optimizer.folder import Folder
from nightpane.optimizer.report import html
from nightpane.optimizer.words import block, cell, code, plain, table, usd

HARMFUL = [
    "<img src=x onerror=alert(1)>",
    "</code></pre><script>alert(1)</script>",
    "`` ` ```\n```\n# Heading\n[x](javascript:alert(1))",
    "a|b\\|c",
    "![x](figures/cost_per_day.png)",
    "![x](http://example.org/track.png)",
    "[x]: http://example.org\n[x]",
    "\x1b[31mred\x00\u202eright to left",
    "~~~\n---\n| a | b |\n|---|---|\n",
    "$\\alpha$ {placeholder} %s",
]
TEXTS = st.text(max_size=200) | st.sampled_from(HARMFUL)


def rendered(markdown: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(markdown))


def inside(tag: str, page: str) -> str:
    (found,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", page, re.DOTALL)
    return escapes.unescape(found)


@given(TEXTS)
def test_a_code_span_holds_the_text_and_nothing_leaves_it(text: str) -> None:
    page = rendered(f"before {code(text)} after")
    assert page.startswith("<p>before <code>")
    assert page.endswith("</code> after</p>\n")
    shown = inside("code", page).replace("\\|", "|")
    assert shown.strip() == plain(text).strip()


@given(TEXTS, TEXTS)
def test_a_table_keeps_its_columns(first: str, second: str) -> None:
    page = rendered(table(("A", "B"), [(code(first), cell(code(second)))]))
    assert page.count("<td") == 2
    assert page.count("<tr>") == 2


@given(TEXTS)
def test_a_block_holds_the_text_and_nothing_leaves_it(text: str) -> None:
    page = rendered(f"before\n\n{block(text)}\n\nafter")
    assert page.startswith("<p>before</p>\n<pre>")
    assert page.endswith("</code></pre>\n<p>after</p>\n")
    shown = inside("code", page)
    assert [char for char in shown if _is_text(char)] == [char for char in text if _is_text(char)]


def _is_text(char: str) -> bool:
    control = unicodedata.category(char) in ("Cc", "Cf", "Cs")
    return not (control or char.isspace() or char == "�")


@pytest.mark.parametrize("text", HARMFUL)
def test_the_page_loads_and_runs_nothing(text: str, tmp_path: Path) -> None:
    document = f"# Report\n\n{text}\n\n{code(text)}\n\n{block(text)}\n"
    page = html.page(document, Folder(tmp_path))
    body = page.partition("<main>")[2]
    assert "<script" not in body
    assert not re.search(r"<[^>]+\son\w+=", body)
    assert "href" not in body
    assert all(src.startswith("data:") for src in re.findall(r'src="([^"]*)"', body))
    assert "default-src 'none'" in page


def test_a_drawn_figure_is_inside_the_page(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.open()
    folder.path("figures/cost_per_day.png").write_bytes(b"\x89PNG")
    page = html.page("# R\n\n![Cost](figures/cost_per_day.png)\n", folder)
    assert 'src="data:image/png;base64,iVBORw==" alt="Cost"' in page


def test_amounts_keep_two_significant_digits() -> None:
    amounts = (0, 0.004321, 0.5, 12.345, 1234567.8, 3e-9)
    assert [usd(value) for value in amounts] == [
        "$0.00",
        "$0.0043",
        "$0.50",
        "$12.35",
        "$1,234,567.80",
        "$0.0000000030",
    ]
