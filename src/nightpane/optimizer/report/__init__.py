"""Step 10: the report, for a person (Markdown, HTML, figures) and for a later run."""

from __future__ import annotations

from nightpane.optimizer import record
from nightpane.optimizer.fields import Scope
from nightpane.optimizer.folder import Folder
from nightpane.optimizer.model import Analysis
from nightpane.optimizer.report import figures, html, markdown, summary
from nightpane.optimizer.source import Source

__all__ = ["run"]


def run(source: Source, folder: Folder, scope: Scope, analysis: Analysis) -> None:
    """Write ``recommendations.md`` and ``.html``, ``summary.md``, figures, and the record."""
    drawn = figures.draw(source, folder, scope, analysis)
    text = markdown.document(analysis, drawn)
    folder.text("recommendations.md", text)
    folder.text("recommendations.html", html.page(text, folder))
    folder.text("summary.md", summary.screen(analysis))
    record.write(folder, scope, analysis)
