"""The score, worked out by hand for small containers."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.gtm.making import container, folder, shop, tag, trigger, variable

from nightpane.errors import GtmError
from nightpane.gtm import dimensions
from nightpane.gtm.rubric import Rubric
from nightpane.gtm.scorer import DIMENSIONS, profile_of, score
from nightpane.gtm.signals import Action, Event, Signals, Step


def test_a_container_worked_by_hand() -> None:
    verdict = score(shop())
    assert verdict.profile == "structural"
    # Found of 11: purchase, the GA4 configuration.
    assert verdict.dimensions["tagCoverage"] == pytest.approx(2 / 11, abs=1e-4)
    # Of googtag's 1 and gaawe's 3: tagId, eventName.
    assert verdict.dimensions["paramCompleteness"] == pytest.approx(2 / 4)
    assert verdict.dimensions["deduplication"] == 0
    assert verdict.dimensions["consentSettings"] == 0
    # Tags 2 of 3, triggers 2 of 3, variables 1 of 2.
    assert verdict.dimensions["namingConventions"] == pytest.approx(5 / 8)
    # Two variables used, one data-layer version wrong.
    assert verdict.dimensions["variableHygiene"] == pytest.approx(2 / 3, abs=1e-4)
    # EQUALS 2 of 3, fired 1 of 3.
    assert verdict.dimensions["triggerQuality"] == pytest.approx(3 / 6)
    # In a folder 0 of 5; in the platform's 0 of 2.
    assert verdict.dimensions["folderOrganization"] == 0
    by_hand = 0.2 * 2 / 11 + 0.15 * 0.5 + 0.1 * 5 / 8 + 0.1 * 2 / 3 + 0.1 * 0.5
    assert verdict.score == pytest.approx(by_hand, abs=1e-4)
    assert verdict.gates[0] in ("deduplication", "consentSettings", "folderOrganization")


def test_every_flaw_says_what_to_do() -> None:
    for profile in Rubric.default().profiles:
        verdict = score(shop(), profile=profile)
        for dimension, cases in verdict.cases.items():
            assert all(case.rationale for case in cases), dimension
            assert all(bool(case.fix) != case.passed for case in cases), dimension


def test_the_same_gives_the_same() -> None:
    assert score(shop()) == score(shop())


def test_consent_and_deduplication_in_full() -> None:
    needed = {"consentSettings": {"consentStatus": "NEEDED"}}
    event_id = variable(9, "CJS - Event ID", "jsm", javascript="…")
    sends = {"id": "{{CJS - Event ID}}"}
    found = container(
        tag=[
            tag(1, "Consent - Init"),
            tag(2, "Meta - A", parameter=sends, **needed),
            tag(3, "Meta - B", **needed),
            tag(4, "GA4 - C"),
        ],
        variable=[event_id],
    )
    verdict = score(found)
    assert verdict.dimensions["deduplication"] == pytest.approx(0.5 + 0.5 / 2)
    assert verdict.dimensions["consentSettings"] == pytest.approx(0.4 + 0.6 * 2 / 3)


def test_meta_and_capi_worked_by_hand() -> None:
    events = (
        Event(name="purchase", count=10, value=75, browser=8, server=4, dedup_rate=0.05,
              match_quality=3),
        Event(name="lead", count=40, value=25),
        Event(name="Odd", count=5, value=0),
    )  # fmt: skip
    found = container(tag=[tag(1, "Meta - Purchase")], variable=[variable(2, "_fbc", "k")])
    verdict = score(found, Signals(events=events), profile="meta_enriched")
    assert verdict.dimensions["metaAdsAlignment"] == pytest.approx(0.75)
    delivered = 0.4 + 0.3 + 0.15 * 0.5 + 0.15 * 0.5
    assert verdict.dimensions["capiCoverage"] == pytest.approx(0.75 * delivered - 0.05, abs=1e-4)
    unseen = Event(name="purchase", count=10, value=75, browser=8, server=0)
    (case, *_) = score(found, Signals(events=(unseen,)), profile="full").cases["capiCoverage"]
    assert (case.severity, case.points) == ("error", pytest.approx(0.4 + 0.15 + 0.15))


def test_funnel_and_google_worked_by_hand() -> None:
    steps = [("normal", 0.5), ("high", 2.0), ("low", 0.3), ("low", 0.1)]
    funnel = tuple(
        Step(name="a to b", ratio=ratio, expected_low=0.4, status=status)  # type: ignore[arg-type]
        for status, ratio in steps
    )
    ids = {"conversionId": "{{Const - ID}}", "conversionLabel": "abc"}
    found = container(
        tag=[tag(1, "GAds - Conversion - Lead", "awct", parameter=ids)],
        variable=[variable(2, "Const - ID", "c", value="123")],
    )

    def action(category: str, snippet: str | None, value: float, **more: Any) -> Action:
        return Action(name=category, category=category, enabled=True, conversions=5, value=value,
                      snippet=snippet, **more)  # fmt: skip

    actions = (
        action("LEAD", "AW-123/abc", 10),
        action("PURCHASE", "AW-123/other", 10),
        action("SIGNUP", None, 20),
        Action(name="off", category="LEAD", enabled=False, conversions=5, value=90),
    )
    signals = Signals(events=(), funnel=funnel, actions=actions)
    verdict = score(found, signals)
    assert verdict.profile == "full"
    assert verdict.dimensions["funnelIntegrity"] == pytest.approx((1 + 0.5 + 0.5 + 0) / 4)
    assert verdict.dimensions["googleAdsAlignment"] == pytest.approx((10 * 1 + 10 * 0.7 + 0) / 40)


def test_a_constant_that_refers_to_itself_ends() -> None:
    ids = {"conversionId": "{{A}}", "conversionLabel": "{{A}}"}
    found = container(
        tag=[tag(1, "GAds - Conversion", "awct", parameter=ids)],
        variable=[variable(2, "A", "c", value="{{A}}")],
    )
    action = Action(name="p", category="PURCHASE", enabled=True, conversions=5, value=1,
                    snippet="AW-1/a")  # fmt: skip
    assert score(found, Signals(actions=(action,))).dimensions["googleAdsAlignment"] == 0.8


def test_server_dimensions_worked_by_hand() -> None:
    user = {"event_id": "1", "em": "{{Email}}", "ph": "1", "fn": "1"}
    found = container(
        server=True,
        client=[{"clientId": "1", "name": "GA4", "type": "gaaw_client"}],
        tag=[
            tag(1, "Meta CAPI - Purchase", parameter={**user, "action_source": "website"}),
            tag(2, "Meta CAPI - Lead", parameter={"consent_state": "x"}),
        ],
        customTemplate=[
            {"templateId": "1", "name": "t", "templateData": "___INFO___ eval (x)"},
        ],
    )
    verdict = score(found)
    assert verdict.profile == "server"
    assert verdict.dimensions == {
        "dataClientCoverage": 0.5,
        "capiConfig": pytest.approx((1.0 + 0.5) / 2),
        # Nothing hashes, and one tag sends an address as it is.
        "piiHashing": pytest.approx(0.4),
        "consentForwarding": 0.5,
        "eventNormalization": 0.5,
        "templateSafety": pytest.approx(0.4),
        "requestRouting": pytest.approx(0.7),
        # {{Email}} is no variable.
        "serverReferences": pytest.approx(0.9),
        "prefixedNames": 1.0,
    }


def test_booking_dimensions() -> None:
    found = container(
        tag=[tag(1, "Meta - Lead"), tag(2, "GAds - Booking", "awct",
                 parameter={"conversionValue": "1"}, firingTriggerId=["5"])],
        trigger=[trigger(5, "CE - book", "book"), trigger(6, "CE - idle", "idle")],
        variable=[variable(3, "Cookie - _fbp", "k"), variable(4, "Event ID", "jsm")],
        folder=[folder(1, "x")],
    )  # fmt: skip
    verdict = score(found, profile="booking")
    assert verdict.dimensions["leadCapture"] == pytest.approx(1 - 0.25 - 0.1 - 0.1)
    assert verdict.dimensions["bookingConversion"] == pytest.approx(1 - 0.2 - 0.05)
    assert verdict.dimensions["eventIdOnAll"] == pytest.approx(0.5)
    assert verdict.dimensions["triggerOrphans"] == pytest.approx(0.5)
    assert verdict.dimensions["googleAdsCoverage"] == pytest.approx(1 / 3, abs=1e-4)


@pytest.mark.parametrize(
    ("signals", "profile"),
    [
        (None, "structural"),
        (Signals(events=(), legacy=True), "meta_only_legacy"),
        (Signals(events=()), "meta_only_legacy"),
        (Signals(events=(Event(name="lead", count=1, value=1, browser=1),)), "meta_enriched"),
        (Signals(actions=()), "google_only"),
        (Signals(events=(), actions=()), "full"),
    ],
)
def test_the_profile_follows_the_signals(signals: Signals | None, profile: str) -> None:
    assert profile_of(shop(), signals) == profile


RUBRIC = Path("src/nightpane/gtm/rubric.toml")


def test_the_rubric_covers_what_can_be_scored() -> None:
    rubric = Rubric.default()
    assert set(rubric.dimensions) == set(DIMENSIONS)
    for name, weights in rubric.profiles.items():
        assert sum(weights.values()) == pytest.approx(1, abs=0.01), name
    nine = ("meta_only_legacy", "google_only", "server", "booking")
    assert [len(rubric.profiles[name]) for name in nine] == [9, 9, 9, 9]


SMALL = 'threshold = 0.5\n[dimensions]\na = "A"\n[profiles.p]\na = 1.0\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n" + SMALL, "x is unknown"),
        (SMALL.replace("1.0", "0.5"), "the weights add up to 0.5"),
        (SMALL.replace("1.0", "true"), "a is True; a weight is"),
        (SMALL.replace("[profiles.p]\na", "[profiles.p]\nb"), "b is no dimension"),
        (SMALL.replace("0.5", "2"), "threshold is 2"),
        ("[dimensions]\n", r"\[dimensions\] is missing"),
        (SMALL + "[limits]\nmany = 1\n", "many is unknown; there is full_dedup_rate"),
        (SMALL + "[limits]\nuser_fields = 0\n", "user_fields is 0; it must be above 0"),
        ("limits = 1\n" + SMALL, "limits is no table"),
        (SMALL + "[severities.none]\n", r"\[severities.none\] is no table of a dimension"),
        (SMALL + "[severities.tagCoverage]\nx = 'error'\n", "'x' is unknown; there is"),
        (SMALL + "[severities.tagCoverage]\n'tag is there' = 'bad'\n", "is 'bad'; it is error"),
        ("[", "my.toml: Invalid"),
        ("a = " + "[" * 100_000, "my.toml: maximum recursion"),
        (SMALL.replace("1.0", "nan"), "a is nan"),
    ],
)
def test_a_wrong_rubric_is_refused(text: str, says: str) -> None:
    with pytest.raises(GtmError, match=says):
        Rubric.parse(text, "my.toml")


def test_a_rubric_of_ones_own() -> None:
    rubric = Rubric.parse(SMALL.replace("a =", "namingConventions ="), "my.toml")
    assert score(shop(), rubric=rubric, profile="p").score == pytest.approx(5 / 8)
    with pytest.raises(GtmError, match="no profile 'structural': the rubric has p"):
        score(shop(), rubric=rubric)
    with pytest.raises(GtmError, match="weighs 'a', which cannot be scored"):
        score(shop(), rubric=Rubric.parse(SMALL, "my.toml"), profile="p")


def test_every_check_has_its_severity_in_the_rubric() -> None:
    named = {check for checks in Rubric.default().severities.values() for check in checks}
    made = set()
    for path in Path(dimensions.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "check":
                made |= {
                    one.value
                    for one in ast.walk(node.value)
                    if isinstance(one, ast.Constant) and " " in str(one.value)
                }
    # Two names are of one word.
    assert named == made | {"used", "name"}
    assert set(Rubric.default().severities) == set(DIMENSIONS)


def test_severities_and_limits_of_ones_own() -> None:
    severe = "[severities.namingConventions]\nname = 'error'\n"
    text = SMALL.replace("a =", "namingConventions =") + severe
    rubric = Rubric.parse(text, "my.toml")
    (wrong, *_) = score(shop(), rubric=rubric, profile="p").wrong("namingConventions")
    assert wrong.severity == "error"
    assert rubric.severity("tagCoverage", "event is sent") == "error"

    text = SMALL.replace("a =", "eventNormalization =") + "[limits]\nmany_conversions = 50\n"
    lenient = Rubric.parse(text, "my.toml")
    signals = Signals(events=(Event(name="lead", count=20, value=1),))
    assert score(shop(), signals, lenient, "p").score == 1
    strict = Rubric.parse(text.replace("50", "20"), "my.toml")
    assert score(shop(), signals, strict, "p").score == pytest.approx(0.85)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({}, "neither conversion_events of Meta"),
        ({"conversion_events": 1}, "conversion_events is no list"),
        ({"conversion_events": [{"event": "a", "count_7d_click": "3"}]}, r"count_7d_click is '3'"),
        ({"conversion_events": [{"event": ""}]}, r"\[0\].event is ''"),
        ({"conversion_events": [{"event": "a", "value_7d_click": -1}]}, "is -1; it must be 0"),
        ({"conversion_events": [{"event": "a", "value_7d_click": 10**400}]}, r"to 1e\+18"),
        ({"conversion_events": [{"event": "a", "server_count": True}]}, "is True; it must be"),
        ({"conversion_events": [], "generated_at": "soon"}, "generated_at is 'soon'"),
        ({"conversion_events": [], "funnel": [{"from_event": "a", "to_event": "b", "ratio": 1,
                                               "status": "odd"}]}, "status is 'odd'"),
    ],
)  # fmt: skip
def test_wrong_signals_are_refused(document: dict[str, Any], says: str) -> None:
    with pytest.raises(GtmError, match=says):
        Signals.of(document)


def test_old_signals_are_told_and_older_ones_refused() -> None:
    signals = Signals.of({"conversion_events": [], "generated_at": "2026-04-08T12:00:00Z"})
    assert signals.age_warning(datetime(2026, 4, 9, 11, tzinfo=UTC)) is None
    warned = signals.age_warning(datetime(2026, 4, 10, 12, tzinfo=UTC))
    assert warned == "the signals are 48 hours old"
    with pytest.raises(GtmError, match="73 hours old, more than 72"):
        signals.age_warning(datetime(2026, 4, 11, 13, tzinfo=UTC))
    with pytest.raises(GtmError, match=r"of 2026-04-08T12:00:00.*, which is to come"):
        signals.age_warning(datetime(2026, 4, 8, 10, tzinfo=UTC))
    undated = Signals(events=()).age_warning(datetime(2030, 1, 1, tzinfo=UTC))
    assert undated == "the signals do not say when they were taken (generated_at)"
