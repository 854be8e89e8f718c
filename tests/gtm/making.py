"""Small containers of our own writing."""

from __future__ import annotations

import json
from typing import Any

from nightpane.gtm.container import Container


def tag(number: int, name: str, kind: str = "html", **fields: Any) -> dict[str, Any]:
    parameter = fields.pop("parameter", {})
    return {
        "tagId": str(number),
        "name": name,
        "type": kind,
        "parameter": [
            {"type": "TEMPLATE", "key": key, "value": value} for key, value in parameter.items()
        ],
        **fields,
    }


def trigger(number: int, name: str, event: str | None) -> dict[str, Any]:
    arguments = [("arg0", "{{_event}}"), ("arg1", event or "a|b")]
    condition = {
        "type": "EQUALS" if event else "MATCH_REGEX",
        "parameter": [{"type": "TEMPLATE", "key": key, "value": value} for key, value in arguments],
    }
    return {
        "triggerId": str(number),
        "name": name,
        "type": "CUSTOM_EVENT",
        "customEventFilter": [condition],
    }


def variable(number: int, name: str, kind: str = "v", /, **parameter: str) -> dict[str, Any]:
    return {
        "variableId": str(number),
        "name": name,
        "type": kind,
        "parameter": [
            {"type": "TEMPLATE", "key": key, "value": value} for key, value in parameter.items()
        ],
    }


def folder(number: int, name: str) -> dict[str, Any]:
    return {"folderId": str(number), "name": name}


def container(server: bool = False, **entities: list[dict[str, Any]]) -> Container:
    document = {
        "exportFormatVersion": 2,
        "exportTime": "2026-01-01 00:00:00",
        "containerVersion": {
            "accountId": "1",
            "containerId": "2",
            "container": {
                "publicId": "GTM-ABC1234",
                "name": "shop %%CLIENT%%",
                "usageContext": ["SERVER" if server else "WEB"],
            },
            "builtInVariable": [{"type": "PAGE_URL", "name": "Page URL"}],
            **entities,
        },
    }
    return Container.parse(json.dumps(document))


def shop() -> Container:
    """A container with a flaw in most dimensions."""
    return container(
        tag=[
            tag(1, "GA4 - Config", "googtag", parameter={"tagId": "{{Const - GA4 ID}}"},
                firingTriggerId=["2147479553"]),
            tag(2, "purchase event", "gaawe", parameter={"eventName": "purchase"},
                firingTriggerId=["10"], notes="%%CLIENT%%"),
            tag(3, "Meta - Purchase", "cvt_1_2", parameter={"value": "{{value}}"},
                firingTriggerId=["10"]),
        ],
        trigger=[
            trigger(10, "CE - purchase", "purchase"),
            trigger(11, "cart", "add_to_cart"),
            trigger(12, "CE - any", None),
        ],
        variable=[
            variable(20, "Const - GA4 ID", "c", value="G-ABC123"),
            variable(21, "value", "v", name="ecommerce.value", dataLayerVersion="1"),
        ],
        folder=[folder(30, "GA4")],
    )  # fmt: skip
