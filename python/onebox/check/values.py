"""What an expression comes to, as far as the source says; and whether a line runs in production."""
from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from onebox.check.sources import FUNCTIONS, Foreign, Module, Own, Project

STEPS_MAX = 8
ENVIRONMENT_NAMES = ("env", "environ")  # of a parameter or variable that nobody can follow further
READERS = {"decouple.config", "os.getenv", "os.environ.get"}
READER_OBJECTS = {"environs.Env", "environ.Env", "environs.FileAwareEnv", "environ.FileAwareEnv",
                  "starlette.config.Config"}
DEVELOPMENT = frozenset("debug testing test tests dev develop development local localhost pytest "
                        "unittest ci".split())
PRODUCTION = frozenset("prod production live".split())


@dataclass(frozen=True)
class Value:
    constant: Any
    instead_of: str = ""            # the variable that is not set, whose place it takes
    from_environment: bool = False  # the operator's word, not the source's


@dataclass(frozen=True)
class Lookup:
    """A variable of the environment that is asked for."""
    name: str
    default: ast.expr | None


def lookup(project: Project, module: Module, node: ast.AST | None) -> Lookup | None:
    if isinstance(node, ast.Subscript) and is_environment(project, module, node.value):
        return Lookup(text_of(node.slice), None) if text_of(node.slice) else None
    if not isinstance(node, ast.Call) or not node.args or not text_of(node.args[0]):
        return None
    function = node.func
    reads = bool(project.stands_for(module, function, READERS))
    if isinstance(function, ast.Attribute):
        reads = reads or (function.attr == "get" and is_environment(project, module, function.value))
        reads = reads or project.call_of(module, function.value, READER_OBJECTS) is not None
    else:
        reads = reads or project.call_of(module, function, READER_OBJECTS) is not None
    if not reads:
        return None
    default = node.args[1] if len(node.args) > 1 else None
    for keyword in node.keywords:
        if keyword.arg == "default":
            default = keyword.value
    return Lookup(text_of(node.args[0]), default)


def is_environment(project: Project, module: Module, node: ast.expr) -> bool:
    if project.stands_for(module, node, {"os.environ"}):
        return True
    if not isinstance(node, ast.Name) or node.id not in ENVIRONMENT_NAMES:
        return False
    meaning = project.meaning(module, node)
    return not isinstance(meaning, Foreign) and not (
        isinstance(meaning, Own) and isinstance(meaning.binding.node, (ast.Dict, *FUNCTIONS)))


def text_of(node: ast.AST | None) -> str:
    """Of a literal; else empty."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def name_of(node: ast.AST) -> str:
    """The last part of a dotted name, else empty."""
    return node.id if isinstance(node, ast.Name) else (
        node.attr if isinstance(node, ast.Attribute) else "")


def evaluate(project: Project, module: Module, node: ast.AST | None,
             steps: int = STEPS_MAX) -> Value | None:
    """Its value, or nothing where the source does not say."""
    if node is None or steps == 0:
        return None

    def inner(part: ast.AST) -> Value | None:
        return evaluate(project, module, part, steps - 1)

    asked = lookup(project, module, node)
    if asked:
        if asked.name in project.variables:
            return Value(project.variables[asked.name], from_environment=True)
        found = inner(asked.default) if asked.default else Value(None)
        return found and replace(found, instead_of=asked.name)
    match node:
        case ast.Constant():
            return Value(node.value)
        case ast.JoinedStr():
            parts = [inner(part.value if isinstance(part, ast.FormattedValue) else part)
                     for part in node.values]
            if all(parts) and not any(isinstance(part, ast.FormattedValue) and (
                    part.format_spec or part.conversion >= 0) for part in node.values):
                return Value("".join(str(part.constant) for part in parts if part))
        case ast.BinOp(op=ast.Add()):
            left, right = inner(node.left), inner(node.right)
            if left and right and isinstance(left.constant, str) and isinstance(right.constant, str):
                return Value(left.constant + right.constant)
        case ast.BoolOp():
            return _first(inner, node)
        case ast.UnaryOp(op=ast.Not()):
            found = inner(node.operand)
            return found and replace(found, constant=not found.constant)
        case ast.IfExp():
            test = inner(node.test)
            return test and inner(node.body if test.constant else node.orelse)
        case ast.Compare(ops=[operator]):
            return _compared(project, module, node, operator, inner)
        case ast.Name() | ast.Attribute():
            meaning = project.meaning(module, node)
            if isinstance(meaning, Own) and isinstance(meaning.binding.node, ast.expr):
                return evaluate(project, meaning.module, meaning.binding.node, steps - 1)
    return None


def _first(inner: Any, node: ast.BoolOp) -> Value | None:
    """The operand that decides."""
    stops = isinstance(node.op, ast.Or)
    missing = ""
    found = None
    for operand in node.values:
        found = inner(operand)
        if found is None:
            return None
        missing = missing or found.instead_of
        if bool(found.constant) == stops:
            break
    return found and replace(found, instead_of=missing)


def _compared(project: Project, module: Module, node: ast.Compare, operator: ast.cmpop,
              inner: Any) -> Value | None:
    left = inner(node.left)
    if isinstance(operator, (ast.In, ast.NotIn)):
        if left and is_environment(project, module, node.comparators[0]):
            return Value((left.constant in project.variables) == isinstance(operator, ast.In))
        return None
    right = inner(node.comparators[0])
    if left is None or right is None:
        return None
    if isinstance(operator, (ast.Eq, ast.Is)):
        return Value(left.constant == right.constant)
    if isinstance(operator, (ast.NotEq, ast.IsNot)):
        return Value(left.constant != right.constant)
    return None


# --- whether a line runs in production ------------------------------------------


class Runs(Enum):
    ALWAYS = 2
    SOMETIMES = 1  # under a condition that only the running app knows
    NEVER = 0      # not here, or only for who writes the app


def where_from(when: Runs, instead_of: str) -> str:
    """Why a value counts that is not the only one: for a finding."""
    if instead_of:
        return f", as {instead_of} is not set here"
    return "" if when is Runs.ALWAYS else ", where this line is reached"


OTHERWISE = {Runs.ALWAYS: Runs.NEVER, Runs.NEVER: Runs.ALWAYS, Runs.SOMETIMES: Runs.SOMETIMES}


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", text).lower()))


def is_for_development(name: str) -> bool:
    return bool(words_of(name) & DEVELOPMENT) and not words_of(name) & PRODUCTION


def is_production(name: str) -> bool:
    return bool(words_of(name) & PRODUCTION)


def runs(project: Project, module: Module, node: ast.AST,
         neutral: Any = lambda test: False) -> Runs:
    """Whether the line of a node runs in production. A condition that is `neutral` counts as none."""
    if is_for_development(module.path.stem):
        return Runs.NEVER
    least = Runs.ALWAYS
    for parent in module.ancestors(node):
        found = _under(project, module, parent, node, neutral)
        if found is Runs.NEVER:
            return found
        least = min(least, found, key=lambda one: one.value)
        node = parent
    return least


def _under(project: Project, module: Module, parent: ast.AST, node: ast.AST, neutral: Any) -> Runs:
    if isinstance(parent, (ast.ClassDef, *FUNCTIONS)) and is_for_development(parent.name):
        return Runs.NEVER
    if isinstance(parent, (ast.ExceptHandler, ast.match_case)):
        return Runs.SOMETIMES
    if isinstance(parent, ast.If) and node is not parent.test and not neutral(parent.test):
        found = decide(project, module, parent.test)
        if any(node is one for one in parent.orelse):
            found = OTHERWISE[found]
        if found is not Runs.ALWAYS:
            return found
    return _after(project, module, parent, node, neutral)


def _after(project: Project, module: Module, parent: ast.AST, node: ast.AST, neutral: Any) -> Runs:
    """What stands behind `if ...: return`."""
    least = Runs.ALWAYS
    for before in module.leaving.get(parent, ()):
        if not module.is_before(before, node):
            continue
        found = Runs.NEVER if neutral(before.test) else decide(project, module, before.test)
        if found is Runs.ALWAYS:
            return Runs.NEVER
        if found is Runs.SOMETIMES:
            least = Runs.SOMETIMES
    return least


def decide(project: Project, module: Module, test: ast.expr) -> Runs:
    """Whether a condition holds in production."""
    known = evaluate(project, module, test)
    leaning = _leaning(test)
    if leaning:
        return Runs.ALWAYS if leaning > 0 else Runs.NEVER
    if is_main(test):
        return Runs.NEVER
    if known:
        return Runs.ALWAYS if known.constant else Runs.NEVER
    return Runs.SOMETIMES


def is_main(test: ast.expr) -> bool:
    return (isinstance(test, ast.Compare) and isinstance(test.left, ast.Name)
            and test.left.id == "__name__" and isinstance(test.ops[0], ast.Eq))


def _leaning(test: ast.expr) -> int:
    """1 where it asks for production, -1 for development or a test, 0 for neither."""
    match test:
        case ast.UnaryOp(op=ast.Not()):
            return -_leaning(test.operand)
        case ast.BoolOp():
            leanings = [_leaning(operand) for operand in test.values]
            if isinstance(test.op, ast.Or):
                return 1 if 1 in leanings else min(leanings) if all(leanings) else 0
            return -1 if -1 in leanings else max(leanings) if all(leanings) else 0
        case ast.Compare(ops=[operator]):
            parts = [test.left, *test.comparators]
            leaning = max((_of_words(part) for part in parts if isinstance(part, ast.Constant)),
                          key=abs, default=0)
            if not leaning:
                leaning = max((_of_words(part) for part in parts), key=abs, default=0)
                if any(isinstance(part, ast.Constant) and not part.value for part in parts):
                    leaning = -leaning
            return -leaning if isinstance(operator, (ast.NotEq, ast.NotIn, ast.IsNot)) else leaning
    return _of_words(test)


def _of_words(node: ast.expr) -> int:
    match node:
        case ast.Name() | ast.Attribute():
            text = name_of(node)
        case ast.Subscript():
            text = text_of(node.slice)
        case ast.Call():
            text = text_of(node.args[0]) if node.args else ""
        case _:
            text = text_of(node)
    words = words_of(text)
    return 1 if words & PRODUCTION else -1 if words & DEVELOPMENT else 0
