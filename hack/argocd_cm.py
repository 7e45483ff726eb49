"""examples/argocd/argocd-cm.yaml, made from the scripts beside it, which are what the tests run."""

from pathlib import Path
from typing import Any, Final

import yaml

from modelroute.api.resources import GROUP, ModelRollout, ModelRoute

ARGOCD: Final = Path(__file__).resolve().parent.parent / "examples" / "argocd"
SCRIPTS: Final = ARGOCD / "resource_customizations" / GROUP / ModelRoute.KIND
PLACE: Final = ARGOCD / "argocd-cm.yaml"
HEADER: Final = """\
# To be merged into argocd-cm: kubectl -n argocd patch configmap argocd-cm --patch-file examples/argocd/argocd-cm.yaml
# Made by `make package-files` from resource_customizations/: change the scripts, not this.
"""
QUIET: Final[dict[str, dict[str, list[str]]]] = {
    ModelRoute.KIND: {
        "jsonPointers": ["/status/message", "/status/objectives", "/status/lacking"],
        "jqPathExpressions": [".status.conditions[]?.message"],
    },
    ModelRollout.KIND: {"jsonPointers": ["/status"]},
}
"""What changes with every look and changes no health: it is no reason to refresh an Application."""


def text() -> str:
    """The whole file."""
    of_route = f"{GROUP}_{ModelRoute.KIND}"
    data = {
        f"resource.customizations.health.{of_route}": _Block(_script("health.lua")),
        f"resource.customizations.actions.{of_route}": _Block(_dump(_actions())),
    }
    for kind, ignored in QUIET.items():
        data[f"resource.customizations.ignoreResourceUpdates.{GROUP}_{kind}"] = _Block(_dump(ignored))
    return HEADER + _dump({"data": data})


def _actions() -> dict[str, Any]:
    verbs = sorted(place.parent.name for place in SCRIPTS.glob("actions/*/action.lua"))
    definitions = [{"name": verb, "action.lua": _Block(_script(f"actions/{verb}/action.lua"))} for verb in verbs]
    return {"discovery.lua": _Block(_script("actions/discovery.lua")), "definitions": definitions}


def _script(place: str) -> str:
    return (SCRIPTS / place).read_text(encoding="utf-8")


class _Block(str):
    """Written as a literal block, so that a person can read it."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Block, lambda dumper, given: dumper.represent_scalar("tag:yaml.org,2002:str", str(given), style="|")
)


def _dump(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=120)
