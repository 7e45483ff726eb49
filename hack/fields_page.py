"""docs/fields.md, made of the CustomResourceDefinitions: `python -m fields_page [--check]`.

Every sentence, default, list of values and rule comes from crds/, so the page says what the API server enforces.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).resolve().parent.parent
PAGE: Final = REPOSITORY / "docs" / "fields.md"
KINDS: Final = ("modelroutes", "modelrollouts")
OWN_SECTIONS: Final = frozenset(
    {"spec.models", "spec.objectives", "spec.rollout", "spec.guard", "spec.metrics", "status.objectives"}
)
"""Fields with so much below them that they get a table of their own."""
LONGEST_DEFAULT: Final = 40
HEAD: Final = """\
# Every field

Made by `python -m fields_page` from [crds/](../crds): change the types in `operator/modelroute/api`, not this page.
`kubectl explain modelroute.spec` says the same in a terminal. Required fields have a star. Every default is written
into the object when it is applied, so `kubectl get -o yaml` shows what is in force. Rates are percent strings (`0.5%`),
differences percentage points (`0.2pp`), durations Gateway API durations (`10m`, `1h30m`), money decimal strings.
"""

Schema = dict[str, Any]


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with --check say whether it differs."""
    parser = argparse.ArgumentParser(prog="python -m fields_page", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page differs")
    check = parser.parse_args(arguments).check
    if not check:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print("docs/fields.md is not what crds/ make of it: run `PYTHONPATH=hack python -m fields_page`", file=sys.stderr)
    return 1


def page() -> str:
    """The whole page."""
    return HEAD + "".join(line + "\n" for plural in KINDS for line in _kind(plural))


def _kind(plural: str) -> Iterator[str]:
    crd = yaml.safe_load((REPOSITORY / "crds" / f"modelroute.dev_{plural}.yaml").read_text(encoding="utf-8"))
    kind, schema = crd["spec"]["names"]["kind"], crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    yield ""
    yield f"# {kind}"
    for part in ("spec", "status"):
        yield from _section(part, schema["properties"][part], kind, title=part)


def _section(path: str, schema: Schema, kind: str, *, title: str) -> Iterator[str]:
    """The table of one part, its rules, then the parts of it that have a table of their own."""
    own = list(_own(path, schema)) if kind == "ModelRoute" else []
    yield ""
    yield f"## {kind}: {title}"
    yield ""
    yield schema.get("description", "")
    yield ""
    yield "| field | values, default | |"
    yield "|---|---|---|"
    yield from _rows("", _object(schema), skip={path.removeprefix(f"{title}.") for path, _ in own}, base=title)
    rules = list(_rules(schema, skip={name for name, _ in own}, path=path))
    if rules:
        yield ""
        yield "The API server refuses what breaks one of these:"
        yield ""
        yield from (f"- {message}" for message in dict.fromkeys(rules))
    for name, below in own:
        yield from _section(name, below, kind, title=name)


def _own(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    for name, below in schema.get("properties", {}).items():
        if f"{path}.{name}" in OWN_SECTIONS:
            yield f"{path}.{name}", below


def _object(schema: Schema) -> Schema:
    """What has the properties: an object itself, or what a list is of."""
    return _object(schema["items"]) if "items" in schema else schema


def _rows(prefix: str, schema: Schema, *, skip: set[str], base: str) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, below in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        star = "\\*" if name in required else ""
        if path in skip:
            link = f"See [below](#{_anchor(f'{base}.{path}')})."
            yield f"| `{path}`{star} | {_values(below)} | {_sentence(below)} {link} |"
            continue
        yield f"| `{path}`{star} | {_values(below)} | {_sentence(below)} |"
        inner = below.get("items", below)
        mark = "[]" if "items" in below else ""
        yield from _rows(f"{path}{mark}.", inner, skip=skip, base=base)


def _anchor(path: str) -> str:
    return f"modelroute-{path.replace('.', '').lower()}"


def _sentence(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("|", "\\|")


def _values(schema: Schema) -> str:
    """Which values there are, and the default, in a few words."""
    parts = [", ".join(f"`{value}`" for value in schema["enum"]) if "enum" in schema else _kind_of(schema)]
    if "default" in schema:
        parts.append(_default(schema["default"]))
    return "; ".join(parts)


def _kind_of(schema: Schema) -> str:
    words = {"array": "list", "object": "object", "string": "string", "integer": "integer", "number": "number"}
    told = words.get(schema.get("type", ""), str(schema.get("type", "any")))
    least = schema.get("minimum", schema.get("minItems"))
    most = schema.get("maximum", schema.get("maxItems"))
    if least is not None and most is not None:
        return f"{told}, {least:,} to {most:,}"
    if least is not None:
        return f"{told}, {least:,} or more"
    return told if most is None else f"{told}, at most {most:,}"


def _default(value: object) -> str:
    if value == "":
        return "default empty"
    if isinstance(value, list) and value and "progress" in value[0]:
        return f"default {', '.join(str(step['progress']) for step in value)} %"
    if value == {}:
        return "default: that of each field"
    text = value if isinstance(value, str) else json.dumps(value)
    assert len(text) <= LONGEST_DEFAULT, f"a default that no table has room for: {text}"
    return f"default `{text}`"


def _rules(schema: Schema, *, skip: set[str], path: str) -> Iterator[str]:
    """The messages of the CEL rules at and below `schema`."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield rule["message"]
    for name, below in schema.get("properties", {}).items():
        if f"{path}.{name}" not in skip:
            yield from _rules(below, skip=skip, path=f"{path}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], skip=skip, path=path)


if __name__ == "__main__":
    sys.exit(main())
