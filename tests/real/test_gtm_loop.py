"""The GTM loop over containers found in the wild: better at the end, and still whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from nightpane import Pane
from nightpane.gtm.container import Container
from nightpane.gtm.invariants import check
from nightpane.gtm.signals import Signals
from nightpane.gtm.store import Store
from nightpane.loops.gtm import GtmAutoResearch
from nightpane.loops.gtm_versions import best_and_seed, publish
from nightpane.loops.stop import Limits
from nightpane.testing import LocalServer

SHARED = Path(__file__).parents[3] / "shared" / "data" / "gtm"
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="../shared/data/gtm is absent: real containers cannot be improved"
)
LIMITS = Limits(max_rounds=2)


@pytest.mark.parametrize(
    "path", sorted((SHARED / "containers").glob("*.json")), ids=lambda path: path.stem[-24:]
)
def test_two_nights_on_a_real_container(path: Path, tmp_path: Path, server: LocalServer) -> None:
    pytest.importorskip("obstore")
    given = path.read_bytes()
    store = Store(str(tmp_path / "store"))
    seed = Container.read(path)
    (snapshot,) = (SHARED / "signals").glob("*meta-ads-snapshot.json")
    for signals in (None, Signals.read(snapshot)):
        research = GtmAutoResearch(container=path, signals=signals, old_signals=True, limits=LIMITS)
        with Pane(project="gtm", client="c", host=server.host, api_key=server.api_key) as pane:
            outcome = research.loop(pane, [], tmp_path / "state").run()
        folder = research.folder(tmp_path / "state", seed)
        best, began = best_and_seed(folder)
        assert check(seed, best, budget=1000) == []
        assert Container.parse(best.text).document == best.document
        # The second night's signals are others: the first night's rounds stay as they are told.
        (published,) = publish(folder, store, client="real")
        scorer = research.scorer(seed, folder)
        assert scorer.verdict(best).score == pytest.approx(outcome.best_score)
        assert outcome.best_score >= scorer.verdict(began).score
        run = next(one for one in store.runs() if one.run_id == published)
        assert store.container(published, max(run.versions)).text == best.text
    assert outcome.best_score > research.scorer(seed, folder).verdict(seed).score
    assert len(store.runs()) == 2
    assert path.read_bytes() == given
