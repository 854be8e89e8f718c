"""The score of a container: weighed dimensions, each explained case by case.

It is deterministic: the same container, signals and rubric give the same verdict. It knows no
network and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from nightpane.errors import GtmError
from nightpane.gtm.case import Case, score_of
from nightpane.gtm.container import Container
from nightpane.gtm.dimensions import ads, booking, consent, order, server, tags
from nightpane.gtm.rubric import Limits, Rubric
from nightpane.gtm.signals import Signals

__all__ = ["DIMENSIONS", "Case", "Verdict", "profile_of", "score"]

_Dimension = Callable[[Container, Signals | None, Limits], Iterator[Case]]

DIMENSIONS: Mapping[str, _Dimension] = {
    "tagCoverage": tags.tag_coverage,
    "paramCompleteness": tags.param_completeness,
    "deduplication": consent.deduplication,
    "consentSettings": consent.consent_settings,
    "namingConventions": order.naming_conventions,
    "variableHygiene": order.variable_hygiene,
    "triggerQuality": order.trigger_quality,
    "folderOrganization": order.folder_organization,
    "metaAdsAlignment": ads.meta_ads_alignment,
    "capiCoverage": ads.capi_coverage,
    "funnelIntegrity": ads.funnel_integrity,
    "googleAdsAlignment": ads.google_ads_alignment,
    "dataClientCoverage": server.data_client_coverage,
    "capiConfig": server.capi_config,
    "piiHashing": server.pii_hashing,
    "consentForwarding": server.consent_forwarding,
    "eventNormalization": server.event_normalization,
    "templateSafety": server.template_safety,
    "requestRouting": server.request_routing,
    "serverReferences": server.server_references,
    "prefixedNames": server.prefixed_names,
    "leadCapture": booking.lead_capture,
    "bookingConversion": booking.booking_conversion,
    "customConversionParity": booking.custom_conversion_parity,
    "eventIdOnAll": booking.event_id_on_all,
    "adConsent": booking.ad_consent,
    "triggerOrphans": booking.trigger_orphans,
    "webReferences": booking.web_references,
    "googleAdsCoverage": booking.google_ads_coverage,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A container's score between 0 and 1, rounded to four decimals, and what it is made of."""

    score: float
    profile: str
    dimensions: Mapping[str, float]
    cases: Mapping[str, tuple[Case, ...]]
    threshold: float

    @property
    def gates(self) -> tuple[str, ...]:
        """The dimensions below the rubric's threshold, lowest first."""
        low = [name for name, value in self.dimensions.items() if value < self.threshold]
        return tuple(sorted(low, key=lambda name: self.dimensions[name]))

    def wrong(self, dimension: str) -> tuple[Case, ...]:
        """Return a dimension's cases in which something is wrong."""
        return tuple(case for case in self.cases[dimension] if not case.passed)


def profile_of(container: Container, signals: Signals | None) -> str:
    """Return the profile that fits: by what the signals know, else by the kind of container."""
    meta = signals is not None and signals.events is not None
    google = signals is not None and signals.actions is not None
    if container.is_server:
        return "server"
    if meta and google:
        return "full"
    if meta:
        return "meta_enriched" if signals is not None and signals.enriched else "meta_only_legacy"
    return "google_only" if google else "structural"


def score(
    container: Container,
    signals: Signals | None = None,
    rubric: Rubric | None = None,
    profile: str | None = None,
) -> Verdict:
    """Return the verdict on a container.

    Raises GtmError when the rubric has no such profile, or weighs a dimension that is not here.
    """
    chosen = rubric or Rubric.default()
    name = profile or profile_of(container, signals)
    weights = chosen.weights(name)
    cases = {
        one: tuple(
            replace(case, severity=chosen.severity(one, case.check))
            for case in _dimension(one)(container, signals, chosen.limits)
        )
        for one in weights
    }
    values = {one: score_of(found) for one, found in cases.items()}
    total = sum(weight * values[one] for one, weight in weights.items())
    return Verdict(
        score=round(total / sum(weights.values()), 4),
        profile=name,
        dimensions={one: round(value, 4) for one, value in values.items()},
        cases=cases,
        threshold=chosen.threshold,
    )


def _dimension(name: str) -> _Dimension:
    if name not in DIMENSIONS:
        known = ", ".join(DIMENSIONS)
        raise GtmError(f"the rubric weighs {name!r}, which cannot be scored; there is {known}")
    return DIMENSIONS[name]
