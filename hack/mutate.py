"""`make mutants`: change the statistics a little, one place at a time, and see which changes no test notices.

    python hack/mutate.py two_arm mixture            # these modules; without names, those of ORDER
    python hack/mutate.py --every 3 one_arm          # every third mutant, when time is short
    python hack/mutate.py --minutes 20

It works on a copy, in a child of this process for each mutant, so that numpy and scipy are loaded once. What survives
is printed as it is found, and docs/mutants.md says of each why. Only what runs is changed: no annotations, docstrings
or messages of errors.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path("operator/modelroute/analysis")
ORDER = ("two_arm", "mixture", "one_arm", "detector", "interval", "bounds", "shares")
ORACLE = ("tests/unit/test_oracle_processes.py", "tests/unit/test_oracle_whole.py")
TESTS = {
    "two_arm": ("tests/unit/test_analyze.py",),
    "mixture": ("tests/unit/test_detector.py", "tests/unit/test_engine.py"),
    "one_arm": ("tests/unit/test_one_arm.py",),
    "detector": ("tests/unit/test_detector.py",),
    "interval": ("tests/unit/test_interval.py",),
    "bounds": ("tests/property/test_bounds.py",),
    "shares": ("tests/unit/test_shares.py",),
}
"""The tests of a module, quickest first; those of the oracle are run after them."""

ONLY = {
    "two_arm": "two_arms or oracle_gives or analyze", "mixture": "whole or schedule or detector or engine",
    "one_arm": "one_arm or tails", "detector": "detector", "interval": "interval", "bounds": "bounds or whole",
    "shares": "shares",
}  # fmt: skip
"""Which tests of those, as pytest's -k: what cannot notice a change of the module is left out."""

QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""The child has loaded plugins already."""

PATIENCE_S = 90
WARM = ("numpy", "scipy.special", "scipy.stats", "scipy.integrate", "scipy.optimize", "mpmath", "hypothesis", "click",
        "pydantic", "rich", "pytest")  # fmt: skip

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.USub: ast.UAdd,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "floor": "ceil", "ceil": "floor",
         "log_above": "log_below", "log_below": "log_above", "any": "all", "all": "any"}  # fmt: skip


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """(line, what is changed, the changed source) for each place where something can be."""
    tree = ast.parse(source)
    skipped = {id(inner) for node in ast.walk(tree) for part in _inert(node) for inner in ast.walk(part)}
    for index, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for way in range(2):
            other = deepcopy(tree)
            place = list(ast.walk(other))[index]
            said = _changed(place, way)
            if said:
                ast.fix_missing_locations(other)
                yield getattr(node, "lineno", 0), said, ast.unparse(other)


def _inert(node: ast.AST) -> list[ast.AST]:
    """Parts that say nothing at run time."""
    found: list[ast.AST | None] = []
    match node:
        case ast.FunctionDef():
            found = [node.returns, *node.decorator_list]
        case ast.arg() | ast.AnnAssign():
            found = [node.annotation]
        case ast.Raise():
            found = [node.exc]
        case ast.Expr(value=ast.Constant()):
            found = [node]
    return [each for each in found if each is not None]


def _changed(node: ast.AST, way: int) -> str:
    """Change `node` in the first or second way that there is; "" where there is none."""
    before = ast.unparse(node) if isinstance(node, ast.expr) else ""
    match node:
        case ast.BinOp() | ast.BoolOp() | ast.UnaryOp() if way == 0 and type(node.op) in SWAPS:
            node.op = SWAPS[type(node.op)]()  # type: ignore[assignment]
        case ast.Compare() if way == 0 and type(node.ops[0]) in SWAPS:
            node.ops[0] = SWAPS[type(node.ops[0])]()  # type: ignore[call-overload]
        case ast.Constant(value=bool()) if way == 0:
            node.value = not node.value
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            number = node.value
            assert isinstance(number, int | float)
            node.value = number + 1 if way == 0 else number * 1.01 if isinstance(number, float) else number - 1
        case ast.Attribute() if way == 0 and node.attr in NAMES:
            node.attr = NAMES[node.attr]
        case ast.Name() if way == 0 and node.id in NAMES:
            node.id = NAMES[node.id]
        case _:
            return ""
    return f"{before} → {ast.unparse(node)}"


def survives(copy: Path, tests: Sequence[str], only: str) -> bool:
    """Do all tests pass on the copy, within PATIENCE_S? In a child, which takes what it imported with it."""
    child = os.fork()
    if not child:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(copy)
        sys.path[:0] = [str(copy), str(copy / "operator"), str(copy / "hack")]
        signal.alarm(PATIENCE_S)
        import pytest

        there = [each for each in tests if Path(each).exists()]
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *QUIET, "-k", only, *there])))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def run(copy: Path, name: str, every: int, until: float) -> None:
    file = copy / FOLDER / f"{name}.py"
    source, tests = file.read_text("utf-8"), (*TESTS[name], *ORACLE)
    if not survives(copy, tests, ONLY[name]):
        raise SystemExit(f"{name}: its tests fail before anything is changed")
    tried = left = 0
    for number, (line, said, changed) in enumerate(mutants(source)):
        if number % every:
            continue
        if time.monotonic() > until:
            print(f"{name}: out of time", flush=True)
            break
        file.write_text(changed, "utf-8")
        tried += 1
        if survives(copy, tests, ONLY[name]):
            left += 1
            print(f"{name}.py:{line}: {said}", flush=True)
    file.write_text(source, "utf-8")
    print(f"{name}: {tried} mutants, {tried - left} killed, {left} survived", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", default=ORDER, help=f"of {FOLDER}")
    parser.add_argument("--every", type=int, default=1, help="try only every so many-th mutant")
    parser.add_argument("--minutes", type=float, default=60.0)
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    for each in WARM:
        importlib.import_module(each)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copy(ROOT / "pyproject.toml", copy)
        for part in ("operator", "hack", "tests", "docs"):
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__", "go", "packaging"))
        for name in options.modules:
            run(copy, name, options.every, time.monotonic() + options.minutes * 60)


if __name__ == "__main__":
    main()
