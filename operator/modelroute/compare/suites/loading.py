"""Reading a suite: a YAML file that describes it, and a JSONL file with an item a line, beside it.

What is wrong is told by file, line and field: `mine.jsonl:17: expected: 'perhaps' is none of the options (yes, no)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final, Literal, assert_never

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from modelroute.compare.judging.azure_judge import EVALUATORS
from modelroute.compare.judging.judge import JudgeKind, JudgeSpec
from modelroute.compare.suites.suite import Item, Method, Suite
from modelroute.errors import Invalid

API_VERSION: Final = "modelroute.dev/suite/v1"
MAX_ITEMS: Final = 100_000
PROMPT_FIELDS: Final = ("inputs", "outputs", "reference_outputs", "context")
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
Words = Annotated[str, Field(min_length=1)]
MaxTokens = Annotated[int, Field(ge=1, le=32_768)]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False)


class _Scoring(_Written):
    method: Method
    options: tuple[Words, ...] = ()
    marker: Words = "Answer:"


class _Judge(_Written):
    name: Name
    kind: JudgeKind
    prompt: str = ""
    choices: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    evaluator: str = ""
    violation_below: Annotated[float, Field(gt=0, le=1)] | None = None


class _SuiteFile(_Written):
    api_version: Literal["modelroute.dev/suite/v1"]
    name: Name
    version: Words
    description: str = ""
    items: Words
    system: str = ""
    max_tokens: MaxTokens | None = None
    scoring: _Scoring
    judges: tuple[_Judge, ...] = ()


class _ItemLine(_Written):
    id: Words
    prompt: Words
    expected: Words
    accepted: tuple[Words, ...] = ()
    method: Method | None = None
    options: tuple[Words, ...] | None = None
    system: str | None = None
    forbidden: tuple[Words, ...] = ()
    facts: tuple[Words, ...] = ()
    source: str = ""
    kind: str = ""
    max_tokens: MaxTokens | None = None


def built_in_names() -> tuple[str, ...]:
    """The suites that come with modelroute, sorted."""
    folder = files(__package__) / "items"
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def built_in_suite(name: str) -> Suite:
    """A suite that comes with modelroute. Raises Invalid for a name that there is none of."""
    if name not in built_in_names():
        raise Invalid(f"there is no suite {name!r} here; there are {', '.join(built_in_names())}, and your own by path")
    with as_file(files(__package__) / "items") as folder:
        return load_suite(folder / f"{name}.yaml")


def load_suite(path: Path) -> Suite:
    """Read the suite of the YAML file `path`. Raises Invalid, which names file, line and field."""
    file = _suite_file(path)
    items_path = path.parent / file.items
    items: list[Item] = []
    seen: dict[str, int] = {}
    prompts: dict[str, int] = {}
    for number, line in _lines(items_path, said_by=path):
        at = f"{items_path}:{number}"
        item = _item(_checked(line, at), file, at)
        _new(item.id, number, seen, f"{at}: id: {item.id!r}")
        _new(item.hash, number, prompts, f"{at}: prompt: the same question")
        items.append(item)
        if len(items) > MAX_ITEMS:
            raise Invalid(f"{items_path}: more than {MAX_ITEMS} items; split the suite")
    if not items:
        raise Invalid(f"{items_path}: there are no items in it")
    suite = Suite(file.name, file.version, file.description, tuple(items), file.scoring.marker)
    judges: list[JudgeSpec] = []
    for index, judge in enumerate(file.judges):
        if judge.name in suite.computed or judge.name in {each.name for each in judges}:
            raise Invalid(f"{path}: judges.{index}.name: there is a score {judge.name!r} already")
        judges.append(_judge(judge, f"{path}: judges.{index}"))
    return replace(suite, judges=tuple(judges))


def _judge(judge: _Judge, at: str) -> JudgeSpec:
    match judge.kind:
        case JudgeKind.OPENEVALS:
            try:
                judge.prompt.format(**dict.fromkeys(PROMPT_FIELDS, ""))
            except (KeyError, IndexError, ValueError) as error:
                raise Invalid(f"{at}.prompt: it may name {{{'}, {'.join(PROMPT_FIELDS)}}} alone: {error!r}") from error
            if "{outputs}" not in judge.prompt:
                raise Invalid(f"{at}.prompt: has no {{outputs}}, so the judge would not see the answer")
        case JudgeKind.AZURE:
            if judge.evaluator not in EVALUATORS:
                raise Invalid(f"{at}.evaluator: {judge.evaluator!r} is none of {', '.join(EVALUATORS)}")
    return JudgeSpec(judge.name, judge.kind, judge.prompt, judge.choices, judge.evaluator, judge.violation_below)


def _new(key: str, number: int, seen: dict[str, int], said: str) -> None:
    if key in seen:
        raise Invalid(f"{said} is already in line {seen[key]}")
    seen[key] = number


def _suite_file(path: Path) -> _SuiteFile:
    text = _text(path)
    try:
        written = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise Invalid(f"{at}: not YAML: {getattr(error, 'problem', None) or error}") from error
    try:
        return _SuiteFile.model_validate(written)
    except ValidationError as error:
        raise Invalid(_said(error, str(path), text)) from error


def _lines(path: Path, *, said_by: Path) -> Iterator[tuple[int, str]]:
    if not path.is_file():
        raise Invalid(f"{said_by}: items: there is no file {path}")
    for number, line in enumerate(_text(path).splitlines(), start=1):
        if line.strip():
            yield number, line


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: not UTF-8 at byte {error.start}") from error


def _checked(line: str, at: str) -> _ItemLine:
    try:
        written = json.loads(line)
    except ValueError as error:
        raise Invalid(f"{at}: not JSON: {error}") from error
    try:
        return _ItemLine.model_validate(written)
    except ValidationError as error:
        raise Invalid(_said(error, at, "")) from error


def _said(error: ValidationError, at: str, text: str) -> str:
    """The first thing that is wrong, in one sentence; `text` is the YAML, to name the line of a top-level field."""
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"]) or "the whole"
    if text and first["loc"]:
        for number, line in enumerate(text.splitlines(), start=1):
            if line.startswith(f"{first['loc'][0]}:"):
                at = f"{at}:{number}"
                break
    match first["type"]:
        case "extra_forbidden":
            wrong = "there is no such field"
        case "missing":
            wrong = "is missing"
        case _:
            wrong = f"{first['msg'][0].lower()}{first['msg'][1:]}"
            if isinstance(first["input"], str | int | float | bool):
                wrong += f", not {first['input']!r}"
    return f"{at}: {path}: {wrong}"


def _item(line: _ItemLine, file: _SuiteFile, at: str) -> Item:
    item = Item(
        id=line.id,
        prompt=line.prompt,
        expected=line.expected,
        method=line.method or file.scoring.method,
        system=file.system if line.system is None else line.system,
        accepted=line.accepted,
        options=file.scoring.options if line.options is None else line.options,
        forbidden=line.forbidden,
        facts=line.facts,
        source=line.source,
        kind=line.kind,
        max_tokens=line.max_tokens or file.max_tokens or _enough_tokens(line.method or file.scoring.method),
    )
    _fits(item, at)
    return item


def _enough_tokens(method: Method) -> int:
    """Of an answer, where nobody says. For the likeliest option the first word counts; a blank may come before it."""
    return 4 if method is Method.LIKELIEST else 128


def _fits(item: Item, at: str) -> None:
    """An item whose expected answer could never be right is a mistake in the suite, not in the model."""
    if item.method in (Method.CHOICE, Method.LIKELIEST) and len(item.options) < 2:
        raise Invalid(f"{at}: options: a choice needs at least two (here, or as scoring.options of the suite)")
    if item.method is Method.LIKELIEST and len({option[0].casefold() for option in item.options}) < len(item.options):
        said = "their first letters must differ, because the first token of an answer decides (A, B, C will do)"
        raise Invalid(f"{at}: options: {said}")
    if item.method is Method.SUMMARY and not item.source:
        raise Invalid(f"{at}: source: a summary needs the text that it is of")
    for answer in item.right:
        if wrong := _never_right(answer, item):
            raise Invalid(f"{at}: expected: {answer!r} {wrong}")


def _never_right(answer: str, item: Item) -> str:
    match item.method:
        case Method.CHOICE | Method.LIKELIEST:
            return "" if answer in item.options else f"is none of the options ({', '.join(item.options)})"
        case Method.NUMBER:
            return "" if _is_number(answer) else "is not a number"
        case Method.JSON:
            return "" if _is_json(answer) else "is not JSON"
        case Method.TEXT | Method.EXACT | Method.SUMMARY:
            return ""
        case _:
            assert_never(item.method)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
