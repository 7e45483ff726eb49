"""Where a module can be changed a little, and how. No annotations, docstrings or messages of errors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import copy, deepcopy
from dataclasses import dataclass

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.USub: ast.UAdd,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
NAMES = {"minimum": "maximum", "maximum": "minimum", "min": "max", "max": "min", "floor": "ceil", "ceil": "floor",
         "log_above": "log_below", "log_below": "log_above", "any": "all", "all": "any"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """`source` is the module with one change, `said`. `lines` are those of the statement; none where it is not in a
    function: such a statement runs once, when the module is loaded, and whatever uses the module may notice.
    """

    line: int
    said: str
    source: str
    lines: range


def mutants(source: str) -> Iterator[Mutant]:
    tree = ast.parse(source)
    skipped = {id(inner) for node in ast.walk(tree) for part in _inert(node) for inner in ast.walk(part)}
    places = _places(tree)
    for index, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for way in range(2):
            # On a copy of the node alone first: a copy of the whole tree takes a hundred times as long.
            if _changed(copy(node), way):
                other = deepcopy(tree)
                said = _changed(list(ast.walk(other))[index], way)
                ast.fix_missing_locations(other)
                yield Mutant(getattr(node, "lineno", 0), said, ast.unparse(other), places.get(id(node), range(0)))


def _places(tree: ast.AST) -> dict[int, range]:
    """By id of a node: the lines of the innermost statement of a function's body that it is in."""
    found: dict[int, range] = {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.Lambda):
            continue
        body = function.body if isinstance(function.body, list) else [function.body]
        for statement in (inner for part in body for inner in ast.walk(part) if isinstance(inner, ast.stmt)):
            last = statement.end_lineno or statement.lineno
            for inner in ast.walk(statement):
                held = found.get(id(inner))
                if held is None or statement.lineno >= held.start:
                    found[id(inner)] = range(statement.lineno, last + 1)
    return found


def _inert(node: ast.AST) -> list[ast.AST]:
    """Parts that say nothing at run time."""
    found: list[ast.AST | None] = []
    match node:
        case ast.FunctionDef():
            found = [node.returns, *node.decorator_list]
        case ast.ClassDef():
            found = [*node.decorator_list]
        case ast.arg() | ast.AnnAssign():
            found = [node.annotation]
        case ast.Raise():
            found = [node.exc]
        case ast.Expr(value=ast.Constant()):
            found = [node]
        case ast.Call(func=ast.Name(id="zip")):
            # strict=True says what is so anyway.
            found = [*node.keywords]
        case ast.Assert():
            found = [node]
    return [each for each in found if each is not None]


def _changed(node: ast.AST, way: int) -> str:  # a table, one case a line
    """Change `node` in the first or second way that there is; "" where there is none."""
    before = ast.unparse(node) if isinstance(node, ast.expr) else ""
    match node:
        case ast.BinOp() | ast.BoolOp() | ast.UnaryOp() if way == 0 and type(node.op) in SWAPS:
            node.op = SWAPS[type(node.op)]()  # type: ignore[assignment]  # an operator for one of its kind
        case ast.Compare() if way == 0 and type(node.ops[0]) in SWAPS:
            node.ops = [SWAPS[type(node.ops[0])](), *node.ops[1:]]  # type: ignore[list-item]  # likewise
        case ast.Constant(value=bool()) if way == 0:
            node.value = not node.value
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            number = node.value
            assert isinstance(number, int | float)
            less = number * 1.01 if isinstance(number, float) else number - 1
            if way and less == number:
                return ""
            node.value = less if way else number + 1
        case ast.Attribute() if way == 0 and node.attr in NAMES:
            node.attr = NAMES[node.attr]
        case ast.Name() if way == 0 and node.id in NAMES:
            node.id = NAMES[node.id]
        case ast.If() | ast.IfExp() | ast.While() if way == 0 and not isinstance(node.test, ast.Compare | ast.BoolOp):
            before = f"if {ast.unparse(node.test)}"
            node.test = ast.UnaryOp(ast.Not(), node.test)
            return f"{before} → if {ast.unparse(node.test)}"
        case ast.Continue() if way == 0:
            node.__class__ = ast.Break  # type: ignore[assignment]  # in its place in the tree; it has no fields
            return "continue → break"
        case ast.Break() if way == 0:
            node.__class__ = ast.Continue  # type: ignore[assignment]  # likewise
            return "break → continue"
        case _:
            return ""
    return f"{before} → {ast.unparse(node)}"
