"""Where a line of code may be made wrong, and how: the mutants of one file.

Each `Site` changes one node of a fresh syntax tree. Types, docstrings, decorators, assertions that
only narrow a type, and the words of errors are left alone: nothing that decides stands in them.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Pow: ast.Mult,
}
CALLS = {"min": "max", "max": "min", "any": "all", "all": "any"}
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LEFT_ALONE = {
    "annotation",
    "returns",
    "decorator_list",
    "bases",
    "type_comment",
    "ctx",
}


@dataclass(frozen=True, slots=True)
class Site:
    """One place and one change. `scope` is the qualified name around it, `names` what a statement
    outside all functions binds; `inside` says that it lies within a function's body. `lines` are
    those of the statement around it, without the block that it may head.
    """

    scope: str
    line: int
    lines: tuple[int, int]
    before: str
    inside: bool
    names: frozenset[str]
    change: Callable[[], ast.AST]


def sites(tree: ast.Module) -> list[Site]:
    """Return every mutant of the tree, in the order of the text."""
    return list(_of(tree, (), (0, 0), inside=False, names=frozenset()))


def _of(
    node: ast.AST,
    scope: tuple[str, ...],
    lines: tuple[int, int],
    *,
    inside: bool,
    names: frozenset[str],
) -> Iterator[Site]:
    for name, value in ast.iter_fields(node):
        if name in _LEFT_ALONE:
            continue
        children = value if isinstance(value, list) else [value]
        for at, child in enumerate(children):
            if not isinstance(child, ast.AST) or _is_left_alone(node, child):
                continue
            here, within, bound, span = scope, inside, names, _lines(child) or lines
            if isinstance(child, _SCOPES):
                here = (*scope, child.name)
            if isinstance(node, _FUNCTIONS) and name == "body":
                within = True
            if isinstance(child, ast.stmt) and not within:
                bound = _bound_by(child, here)
            put = _putter(node, name, at if isinstance(value, list) else None)
            for before, change in _changes(child, put, in_list=isinstance(value, list)):
                line = getattr(child, "lineno", 0)
                yield Site(".".join(here), line, span, before, within, bound, change)
            yield from _of(child, here, span, inside=within, names=bound)


def _lines(node: ast.AST) -> tuple[int, int] | None:
    """Return the first and last line of a statement, or of the head of a compound one."""
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, node.body[0].lineno - 1
    if not isinstance(node, ast.stmt):
        return None
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    if not isinstance(body, list):
        return node.lineno, node.end_lineno or node.lineno
    first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
    return node.lineno, max(node.lineno, first.lineno - 1)


def _bound_by(statement: ast.stmt, scope: tuple[str, ...]) -> frozenset[str]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    found = {each.id for each in targets if isinstance(each, ast.Name)}
    return frozenset(found | set(scope[:1]))


def _is_left_alone(parent: ast.AST, child: ast.AST) -> bool:
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True
    if isinstance(child, ast.Assert | ast.Raise | ast.Import | ast.ImportFrom | ast.JoinedStr):
        return isinstance(child, ast.Assert | ast.Raise | ast.Import | ast.ImportFrom)
    if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
        return True
    if isinstance(child, ast.Assign):
        bound = {each.id for each in child.targets if isinstance(each, ast.Name)}
        called = child.value.func if isinstance(child.value, ast.Call) else None
        typed = isinstance(called, ast.Name) and called.id == "TypeVar"
        subscript = child.value.value if isinstance(child.value, ast.Subscript) else None
        alias = isinstance(subscript, ast.Name) and subscript.id in {"Callable", "Mapping"}
        return bool(bound & {"__slots__", "__all__"}) or typed or alias
    return isinstance(parent, ast.FormattedValue) and isinstance(child, ast.JoinedStr)


def _putter(parent: ast.AST, name: str, at: int | None) -> Callable[[ast.AST], ast.AST]:
    def put(new: ast.AST) -> ast.AST:
        if at is None:
            old = getattr(parent, name)
            setattr(parent, name, new)
        else:
            old = getattr(parent, name)[at]
            getattr(parent, name)[at] = new
        ast.copy_location(new, old)
        ast.fix_missing_locations(new)
        return new

    return put


def _changes(
    node: ast.AST, put: Callable[[ast.AST], ast.AST], *, in_list: bool
) -> Iterator[tuple[str, Callable[[], ast.AST]]]:
    """Yield (text before, change) of each mutant of this very node."""
    shown = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    if isinstance(node, ast.Compare):
        for n, operator in enumerate(node.ops):
            yield shown, _setting(node, node.ops, n, COMPARISONS[type(operator)]())
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield shown, _setting(node, node, "op", other)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield shown, lambda: put(node.operand)
    elif isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield shown, _setting(node, node, "op", OPERATORS[type(node.op)]())
    elif isinstance(node, ast.Constant):
        for value in _other_constants(node.value):
            yield shown, _setting(node, node, "value", value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield shown, _setting(node, node.func, "id", CALLS[node.func.id])
    elif isinstance(node, ast.Assign) and not _is_none(node.value):
        yield shown, _setting(node, node, "value", ast.Constant(None))
    elif (instead := _instead(node, in_list=in_list)) is not None:
        yield shown, lambda: put(instead)


def _instead(node: ast.AST, *, in_list: bool) -> ast.AST | None:
    """Return what may stand in the node's place, None where nothing may."""
    if isinstance(node, ast.IfExp):
        return ast.IfExp(node.test, node.orelse, node.body)
    if isinstance(node, ast.Break | ast.Continue):
        return ast.Continue() if isinstance(node, ast.Break) else ast.Break()
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and in_list:
        return ast.Pass()
    return None


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _other_constants(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, str):
        return [f"XX{value}XX"]
    return []


def _setting(node: ast.AST, holder: Any, at: str | int, new: Any) -> Callable[[], ast.AST]:
    def change() -> ast.AST:
        if isinstance(at, int):
            holder[at] = new
        else:
            setattr(holder, at, new)
        ast.fix_missing_locations(node)
        return node

    return change
