"""kstatus' rules for resources that it does not know, written down once more, as an oracle.

https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
"""

from __future__ import annotations

from typing import Any

IN_PROGRESS, FAILED, CURRENT, TERMINATING = "InProgress", "Failed", "Current", "Terminating"


def status_of(obj: dict[str, Any]) -> str:
    """How `kubectl wait`'s relatives, Flux and Helm's --wait read the object."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return TERMINATING
    if "observedGeneration" in status and status["observedGeneration"] != metadata["generation"]:
        return IN_PROGRESS
    conditions = status.get("conditions") or []
    for condition in conditions:
        if condition["status"] == "True" and condition["type"] in ("Reconciling", "Stalled"):
            return IN_PROGRESS if condition["type"] == "Reconciling" else FAILED
    ready = [condition["status"] for condition in conditions if condition["type"] == "Ready"]
    # No conditions at all are read as an object that needs none.
    return CURRENT if ready in ([], ["True"]) else IN_PROGRESS
