"""The project's flags ready to be evaluated, made anew when a definition changes.

What is asked on every request is kept in memory; the definitions say when it is stale.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nightpane.definitions import Definitions
from nightpane.flags import FlagSet
from nightpane.server import flag_rules
from nightpane.store import Store
from nightpane.store.json_text import dumps

__all__ = ["FlagState", "Ready"]

_GROUP_TYPES_S = 5.0
_GROUP_TYPES = (
    "SELECT JSONExtractString(properties, '$group_type') AS name FROM nightpane.events "
    "WHERE event = '$groupidentify' AND name != '' GROUP BY name ORDER BY min(created_at), name "
    "LIMIT 5"
)


@dataclass(frozen=True, slots=True)
class Ready:
    """The flags at one moment: to evaluate, and as the answer to those who evaluate themselves."""

    flags: FlagSet
    members: Mapping[str, frozenset[str]]
    experiments: frozenset[str]
    definitions: bytes
    etag: str

    def cohorts_of(self, *ids: str) -> frozenset[str]:
        """Return the static cohorts that have a member of one of these ids."""
        return frozenset(
            cohort for cohort, members in self.members.items() if not members.isdisjoint(ids)
        )


class FlagState:
    """Knows the flags of a server. Safe to use from any thread."""

    def __init__(self, definitions: Definitions, store: Store) -> None:
        self._definitions = definitions
        self._store = store
        # Replaced whole: two threads may both make it, neither waits inside the other's lock.
        self._made: tuple[int, Ready] | None = None
        self._group_types: dict[str, str] = {}
        self._group_types_until = 0.0

    def ready(self) -> Ready:
        """Return the flags as they are now. Raises StoreError."""
        made = self._made
        # Read before the documents: a change made meanwhile makes these stale.
        revision = self._definitions.revision
        if made is not None and made[0] == revision:
            flags: Sequence[Mapping[str, Any]] = list(made[1].flags.flags.values())
        else:
            flags, made = self._definitions.list("flag"), None
        # Group types cost a query: they are asked for when a flag needs them.
        group_types = self.group_types() if any(map(flag_rules.uses_groups, flags)) else {}
        if made is None or made[1].flags.group_types != group_types:
            made = self._made = (revision, self._make(flags, group_types))
        return made[1]

    def group_types(self) -> dict[str, str]:
        """Return the group types by index, in the order in which they were first seen."""
        if time.monotonic() >= self._group_types_until:
            rows = self._store.read(_GROUP_TYPES).rows
            self._group_types = {str(index): str(row[0]) for index, row in enumerate(rows)}
            self._group_types_until = time.monotonic() + _GROUP_TYPES_S
        return self._group_types

    def _make(self, flags: Sequence[Mapping[str, Any]], group_types: dict[str, str]) -> Ready:
        cohorts = self._definitions.list("cohort")
        groups = {
            str(one["id"]): flag_rules.cohort_group(one) for one in cohorts if not one["is_static"]
        }
        members = {
            str(one["id"]): frozenset().union(*one["members"].values())
            for one in cohorts
            if one["is_static"]
        }
        experiments = frozenset(
            str(one.get("feature_flag_key")) for one in self._definitions.list("experiment")
        )
        flag_set = FlagSet(
            flags, cohorts=groups, static_cohorts=members.keys(), group_types=group_types
        )
        body = dumps(
            {
                "flags": [flag_rules.local_flag(one, flag_set, experiments) for one in flags],
                "group_type_mapping": group_types,
                "cohorts": groups,
            }
        ).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        return Ready(flag_set, members, experiments, body, etag)
