"""Annotations: a moment and a text, a vertical line on every chart.

An annotation is a PostHog annotation. It is on disk before it is sent, so that a server that is
away costs nothing but time.
"""

from nightpane.annotations.annotation import SCOPES, Annotation
from nightpane.annotations.deliver import Annotated, Flushed, annotate, flush, latest
from nightpane.annotations.folder import Kept, refused, waiting

__all__ = [
    "SCOPES",
    "Annotated",
    "Annotation",
    "Flushed",
    "Kept",
    "annotate",
    "flush",
    "latest",
    "refused",
    "waiting",
]
