"""Imported twice, grown and imported again: what a real server then holds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.ledgers.conftest import HEADER
from tests.ledgers.test_json import GTM
from tests.ledgers.test_tables import ROWS

from nightpane.testing import LocalServer

COUNTS = """
    select event, count(), count(distinct properties.round_id), count(distinct properties.run_id)
    from events group by event order by event
"""


def test_import_into_a_server(tmp_path: Path) -> None:
    results, copy, loop = (tmp_path / name for name in ("results.tsv", "copy.tsv", "loop.json"))
    results.write_text(HEADER + ROWS)
    loop.write_text(json.dumps(GTM))
    with LocalServer(tmp_path / "server") as server:

        def imported(*files: Path) -> dict[str, Any]:
            done = subprocess.run(
                [sys.executable, "-m", "nightpane", "import", "--json", *map(str, files)],
                env=server.environ,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
            report: dict[str, Any] = json.loads(done.stdout)
            assert report["delivered"] is True
            return report

        def rows(query: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in server.query().hogql(query).rows]

        first = imported(results)
        assert first["files"][0]["rounds"] == 4
        once = [
            ("round_kept", 2, 2, 1),
            ("round_reverted", 2, 2, 1),
            ("round_scored", 3, 3, 1),
            ("round_started", 4, 4, 1),
        ]
        assert rows(COUNTS) == once

        copy.write_text(HEADER + ROWS)  # another name, another time
        imported(results)
        imported(copy)
        assert rows(COUNTS) == once

        results.write_text(HEADER + ROWS + "e1b2c3d\t0.97\t44\tkeep\tmore\n")
        imported(results, loop)
        scored = """
            select properties.project, count(), min(properties.score), max(properties.score)
            from events where event = 'round_scored' group by properties.project order by 1
        """
        assert rows(scored) == [
            ("autoresearch", 4, 0.97, 0.9979),
            ("gtm-autoresearch", 3, 0.6218, 0.6628),
        ]
        best = """
            select properties.commit, properties.delta, properties.client, distinct_id
            from events where event = 'round_kept' and properties.new_best = 0.97
        """
        ((commit, delta, client, distinct_id),) = rows(best)
        assert (commit, client, distinct_id) == (
            "e1b2c3d",
            "internal",
            "autoresearch:internal:loop",
        )
        assert abs(delta - 0.016) < 1e-9
