"""What the package repeats, made from its one source: `python -m package_files [--check]`.

- The chart's `files/crds/` are the files of crds/.
- Its `values.schema.json` is written by hand but for `$defs/Settings…`: the schema of `config` comes from the
  operator's own settings, so that helm refuses what the operator would refuse.
- `examples/argocd/argocd-cm.yaml` holds the scripts of examples/argocd/resource_customizations/.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import BaseModel

import argocd_cm
from modelroute.api.quantities import DURATION
from modelroute.controller.settings import Settings

REPOSITORY: Final = Path(__file__).resolve().parent.parent
CHART: Final = REPOSITORY / "charts" / "modelroute"
PREFIX: Final = "Settings"
ELSEWHERE: Final = frozenset({"namespaces", "leaderElection"})
"""Fields of the configuration that the chart sets from values of its own."""

Schema = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check say which of them differ."""
    parser = argparse.ArgumentParser(prog="python -m package_files", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    check = parser.parse_args(arguments).check
    differing = [path for path, text in wanted().items() if _read(path) != text]
    strangers = sorted(set((CHART / "files" / "crds").glob("*.yaml")) - wanted().keys())
    if not check:
        for path, text in wanted().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for path in strangers:
            path.unlink()
        return 0
    for path in (*differing, *strangers):
        print(
            f"{path.relative_to(REPOSITORY)} is not what its source makes of it: run `make package-files`",
            file=sys.stderr,
        )
    return 1 if differing or strangers else 0


def wanted() -> dict[Path, str]:
    """The text of every file that is made here."""
    crds = {
        CHART / "files" / "crds" / source.name: source.read_text(encoding="utf-8")
        for source in sorted((REPOSITORY / "crds").glob("*.yaml"))
    }
    values = CHART / "values.schema.json"
    return {
        **crds,
        values: values_schema(values.read_text(encoding="utf-8")),
        argocd_cm.PLACE: argocd_cm.text(),
    }


def values_schema(text: str) -> str:
    """The schema of the values with the settings' schema in its place."""
    schema = json.loads(text)
    by_hand = {name: part for name, part in schema["$defs"].items() if not name.startswith(PREFIX)}
    schema["$defs"] = by_hand | settings_schema()
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def settings_schema() -> dict[str, Schema]:
    """The definitions behind `config`, by name: `Settings` is the whole, `SettingsX` each part X."""
    whole = Settings.model_json_schema(by_alias=True)
    parts = {PREFIX: whole, **whole.pop("$defs", {})}
    for model in set(_models(Settings)):
        properties = parts[PREFIX if model is Settings else model.__name__]["properties"]
        for name, field in model.model_fields.items():
            if name.endswith("_s"):
                properties[field.alias or name] = {"type": ["string", "number"], "pattern": DURATION}
    whole["properties"] = {name: part for name, part in whole["properties"].items() if name not in ELSEWHERE}
    return {_renamed(name): _plain(part) for name, part in parts.items()}


def _models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """`model` and all that its fields are made of."""
    yield model
    for field in model.model_fields.values():
        yield from _models_in(field.annotation)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _models(annotation)
    for part in get_args(annotation):
        yield from _models_in(part)


def _renamed(name: str) -> str:
    return name if name == PREFIX else f"{PREFIX}{name.removesuffix(PREFIX)}"


def _plain(node: Any) -> Any:
    """Without what pydantic adds for its own; `X or null` stays, and means that the operator's default is in force."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    plain: Schema = {}
    for key, value in node.items():
        if key == "properties":
            plain[key] = {name: _plain(part) for name, part in value.items()}
        elif key == "$ref":
            plain[key] = f"#/$defs/{_renamed(value.rpartition('/')[2])}"
        elif key == "description":
            plain[key] = " ".join(value.split())
        elif key not in ("title", "default", "format"):
            plain[key] = _plain(value)
    return plain


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
