"""The test data and the tests that Argo CD wants beside a contributed script, made from the operator's own statuses."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from tests.packaging.chart import REPOSITORY, Json

SCRIPTS: Final = REPOSITORY / "examples" / "argocd" / "resource_customizations" / "modelroute.dev" / "ModelRoute"
UNSEEN: Final = {
    "new": "Waiting for the operator to look at it",
    "new_spec": "Waiting for the operator to look at the new spec",
}
"""What is said where the status is about nothing yet, or about an older spec."""
BUTTONS: Final = {
    "approve": ("Approve this step", "check"),
    "promote": ("Promote past this step", "step-forward"),
    "promote-full": ("Promote past all steps", "fast-forward"),
    "pause": ("Pause", "pause"),
    "resume": ("Resume", "play"),
    "abort": ("Abort and go back", "undo"),
    "retry": ("Retry", "redo"),
}


def files(
    objects: Mapping[str, Json], health: Mapping[str, str], offered: Mapping[str, set[str]]
) -> Mapping[Path, str]:
    """Every file, by its path. `health` and `offered` are what each situation is to be read as."""
    made: dict[Path, Any] = {SCRIPTS / "testdata" / f"{name}.yaml": obj for name, obj in objects.items()}
    made[SCRIPTS / "health_test.yaml"] = {"tests": [_health(name, obj, health[name]) for name, obj in objects.items()]}
    discovery, actions = [], []
    for name, obj in objects.items():
        result = [_button(verb, disabled=verb not in offered[name]) for verb in BUTTONS]
        discovery.append({"inputPath": f"testdata/{name}.yaml", "result": result})
        made[SCRIPTS / "actions" / "testdata" / f"{name}.yaml"] = obj
    for verb in BUTTONS:
        given = next(name for name in objects if verb in offered[name])
        output = f"testdata/{given}_{verb}.yaml"
        made[SCRIPTS / "actions" / output] = _asked(objects[given], verb)
        actions.append({"action": verb, "inputPath": f"testdata/{given}.yaml", "expectedOutputPath": output})
    made[SCRIPTS / "actions" / "action_test.yaml"] = {"discoveryTests": discovery, "actionTests": actions}
    return {place: _text(content) for place, content in made.items()}


def _health(name: str, obj: Json, health: str) -> Json:
    message = UNSEEN.get(name) or obj["status"]["message"]
    return {"inputPath": f"testdata/{name}.yaml", "healthStatus": {"status": health, "message": message}}


def _button(verb: str, *, disabled: bool) -> Json:
    words, icon = BUTTONS[verb]
    return {"name": verb, "disabled": disabled, "displayName": words, "iconClass": f"fa fa-fw fa-{icon}"}


def _asked(obj: Json, verb: str) -> Json:
    done = copy.deepcopy(obj)
    done["metadata"].setdefault("annotations", {})["modelroute.dev/action"] = f"{verb}@{obj['status']['nextAction']}"
    return done


def _text(content: Any) -> str:
    return yaml.dump(content, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Every value written out where it stands, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
