"""What `modelroute compare --emit modelroute` writes, applied to a real API server, which has the CRD's last word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.comparisons import SPEC, Strength, stand_ins

from devstack.stack import Stack
from modelroute.compare.decide import decide
from modelroute.compare.emit import to_manifest
from modelroute.compare.spec import parse_comparison

STRENGTHS = {"large": Strength(0.93, median_s=0.9, spread=0.25), "small": Strength(0.92, median_s=0.3)}
TOKENS = {"inputPerMillionTokens": "12.00", "outputPerMillionTokens": "60.00"}
CHEAP = {"inputPerMillionTokens": "0.20", "outputPerMillionTokens": "0.60"}
SERVICES = [
    {"name": "large", "tier": "Large", "endpoint": "http://llama-70b.chat.svc:8000/v1", "price": TOKENS},
    {"name": "small", "tier": "Small", "endpoint": "http://llama-8b:9000/v1", "price": CHEAP},
]
COMPARED: dict[str, dict[str, Any]] = {
    "constraints and prices of tokens": {
        "models": SERVICES,
        "constraints": ["latencyP95 < 2s", "safetyViolationRate < 3%", "errorRate < 5%"],
    },
    "no constraints, prices per request": {},
    "a name that no object can have": {"name": "Support chat, 2nd try", "models": SERVICES},
    "amounts in another currency": {"models": SERVICES, "currency": "EUR"},
}
FASTER = {"name": "latencyP95", "weight": 1, "worst": "4s", "target": "0.1s"}


@pytest.mark.parametrize("changes", COMPARED.values(), ids=COMPARED.keys())
def test_the_api_server_takes_what_was_emitted(
    stack: Stack, namespace: str, tmp_path: Path, changes: dict[str, Any]
) -> None:
    told = {"criteria": [*SPEC["criteria"], FASTER], **changes}
    compared = parse_comparison(SPEC | told, folder=tmp_path)
    manifest = to_manifest(decide(compared, stand_ins(STRENGTHS, items=300, currency=compared.currency)))
    file = tmp_path / "route.yaml"
    file.write_text(manifest, encoding="utf-8")

    stack.kubectl("create", "--validate=strict", "--namespace", namespace, "-f", str(file))

    written = yaml.safe_load(manifest)
    name = written["metadata"]["name"]
    stored = json.loads(stack.kubectl("get", "modelroute", name, "--namespace", namespace, "-o", "json"))
    assert [model["weight"] for model in stored["spec"]["models"]] == [0, 100]
    assert stored["spec"]["objectives"] == [
        kept | given for kept, given in zip(stored["spec"]["objectives"], written["spec"]["objectives"], strict=True)
    ]
