"""The envelope: the properties every event carries."""

from __future__ import annotations

from nightpane.catalog.spec import PropertySpec
from nightpane.catalog.taxonomy import PROJECTS

__all__ = ["ENVELOPE"]

ENVELOPE: tuple[PropertySpec, ...] = (
    PropertySpec(
        name="project",
        type="str",
        description="which loop; a loop of one's own has its own name",
        required=True,
        known=PROJECTS,
    ),
    PropertySpec(
        name="client", type="str", description="tenant; internal by default", required=True
    ),
    PropertySpec(name="run_id", type="ULID", description="one nightly run"),
    PropertySpec(name="round_id", type="ULID", description="one round"),
    PropertySpec(name="agent", type="str", description="the role that emitted it", required=True),
    PropertySpec(name="git_sha", type="str", description="short commit of the loop's code"),
    PropertySpec(name="ts", type="float", description="the emitter's clock", unit="s since epoch"),
    PropertySpec(name="$ai_trace_id", type="str", description="the round_id: PostHog's trace"),
    PropertySpec(
        name="$session_id",
        type="str",
        description="a UUIDv7 with the round's time and bits: PostHog's session",
    ),
)
