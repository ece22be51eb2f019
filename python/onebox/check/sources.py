"""The app's files as trees: what a name in them stands for, also through the app's own imports."""
from __future__ import annotations

import ast
import io
import os
import re
import tokenize
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FILE_BYTES_MAX = 4 << 20  # larger ones are data
STEPS_MAX = 6             # from a name to what it stands for

Function = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LEAVES = (ast.Return, ast.Raise, ast.Continue, ast.Break)


class Unreadable(Exception):
    """A file that is no Python of this version, or cannot be read at all."""

    def __init__(self, shown: str, line: int, column: int, message: str):
        super().__init__(message)
        self.shown, self.line, self.column, self.message = shown, line, column, message


@dataclass(frozen=True)
class Binding:
    """What gives a name its value: an import, a definition, an expression, or anything else."""
    node: ast.AST
    imported: tuple[int, str, str] | None = None  # level, module, name: `from .module import name`


@dataclass(frozen=True)
class Own:
    """A name that the app's own files bind."""
    module: Module
    binding: Binding


@dataclass(frozen=True)
class Foreign:
    """A name that the app imports; or, `unbound`, that its file uses and nobody binds."""
    dotted: str
    unbound: bool = False


Meaning = Own | Foreign | None


class Module:
    """One file. Nodes are known by identity."""

    def __init__(self, path: Path, shown: str, text: str):
        self.path, self.shown, self.text = path, shown, text
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree = ast.parse(text)
        self.lines = text.split("\n")
        self.parents: dict[ast.AST, ast.AST] = {}
        self.nodes: list[ast.AST] = list(ast.walk(self.tree))
        for node in self.nodes:
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
        self.leaving: dict[ast.AST, list[ast.If]] = {}  # by what they stand in: `if ...: return`
        for node in self.nodes:
            if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], LEAVES):
                self.leaving.setdefault(self.parents[node], []).append(node)
        self.bindings: dict[ast.AST, dict[str, list[Binding]]] = {}
        self._bind_all()

    # --- where something stands

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def scopes(self, node: ast.AST) -> Iterator[ast.AST]:
        """The scopes around a node, the innermost first; a decorator or a default is outside."""
        for parent in self.ancestors(node):
            if isinstance(parent, ast.Module):
                yield parent
            elif isinstance(parent, (*FUNCTIONS, ast.ClassDef)):
                if any(node is statement for statement in parent.body):
                    yield parent
            elif isinstance(parent, ast.Lambda) and node is parent.body:
                yield parent
            node = parent

    def is_before(self, first: ast.AST, node: ast.AST) -> bool:
        """Of two statements in one parent: whether one goes before the other in the same block."""
        for name in ("body", "orelse", "finalbody"):
            block = getattr(self.parents[first], name, None)
            if isinstance(block, list) and any(first is one for one in block):
                places = [one for one in block if one is first or one is node]
                return len(places) == 2 and places[0] is first
        return False

    def offset(self, line: int, column: int) -> int:
        """The index in the text, of a line from 1 and a column in bytes of UTF-8."""
        before = sum(len(text) + 1 for text in self.lines[:line - 1])
        return before + len(self.lines[line - 1].encode()[:column].decode(errors="ignore"))

    def span(self, node: ast.AST) -> tuple[int, int]:
        return (self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
                self.offset(node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]

    def source(self, node: ast.AST) -> str:
        begin, end = self.span(node)
        return self.text[begin:end]

    # --- names

    def _bind(self, scope: ast.AST, name: str, node: ast.AST,
              imported: tuple[int, str, str] | None = None) -> None:
        self.bindings.setdefault(scope, {}).setdefault(name, []).append(Binding(node, imported))

    def _bind_all(self) -> None:
        shared: dict[ast.AST, set[str]] = {}  # of a function, what it names global
        for node in self.nodes:
            if isinstance(node, ast.Global):
                shared.setdefault(next(self.scopes(node)), set()).update(node.names)
        for node in self.nodes:
            for name, value, imported in bound_by(node):
                scope: ast.AST = next(self.scopes(node), self.tree)
                if isinstance(node, ast.arg):
                    scope = next(parent for parent in self.ancestors(node)
                                 if isinstance(parent, (*FUNCTIONS, ast.Lambda)))
                if name in shared.get(scope, ()):
                    scope = self.tree
                self._bind(scope, name, value, imported)

    def lookup(self, node: ast.AST, name: str) -> list[Binding]:
        """The bindings of a name as a node sees it."""
        innermost = True
        for scope in self.scopes(node):
            found = self.bindings.get(scope, {}).get(name)
            if found and (innermost or not isinstance(scope, ast.ClassDef)):
                return found
            innermost = False
        return []


Bound = tuple[str, ast.AST, "tuple[int, str, str] | None"]


def bound_by(node: ast.AST) -> Iterator[Bound]:
    """What a node binds: names with the expression or definition that they stand for."""
    match node:
        case ast.Import():
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                yield name, node, (0, alias.name if alias.asname else name, "")
        case ast.ImportFrom():
            for alias in node.names:
                yield alias.asname or alias.name, node, (node.level, node.module or "", alias.name)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, node, None
        case ast.Assign():
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value, None
        case ast.AnnAssign(target=ast.Name()) if node.value:
            yield node.target.id, node.value, None  # type: ignore[union-attr]
        case ast.NamedExpr():
            yield node.target.id, node.value, None
        case ast.arg():
            yield node.arg, node, None
        case ast.Tuple() | ast.List() | ast.Starred() if isinstance(node.ctx, ast.Store):
            children = [node.value] if isinstance(node, ast.Starred) else node.elts
            for child in children:
                if isinstance(child, ast.Name):
                    yield child.id, node, None
        case ast.For(target=ast.Name()) | ast.AsyncFor(target=ast.Name()) | ast.AugAssign(
                target=ast.Name()) | ast.comprehension(target=ast.Name()):
            yield node.target.id, node, None  # type: ignore[union-attr]
        case ast.withitem(optional_vars=ast.Name()):
            yield node.optional_vars.id, node, None  # type: ignore[union-attr]
        case ast.ExceptHandler() if node.name:
            yield node.name, node, None
        case ast.MatchAs() | ast.MatchStar() if node.name:
            yield node.name, node, None


def imported_by(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Level and name of each module that a statement imports, or may."""
    if isinstance(node, ast.Import):
        yield from ((0, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.level, node.module or ""
        for alias in node.names:
            yield node.level, f"{node.module}.{alias.name}" if node.module else alias.name


def named_modules(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        yield from imported_by(node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr == "from_object" and node.args and isinstance(node.args[0], ast.Constant):
                yield 0, str(node.args[0].value)


def decoded(data: bytes) -> str:
    """As Python itself reads a file: its encoding is said in it, its lines end in any way."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return re.sub("\r\n?", "\n", data.decode(encoding).removeprefix("\ufeff"))


class Project:
    """The files that are checked, and those of the app that they import."""

    def __init__(self, variables: dict[str, str], folder: Path):
        self.variables = variables  # the environment, as far as it is known
        self.folder = folder        # that the app is imported from
        self.checked: list[Module] = []
        self.unreadable: list[Unreadable] = []
        self._loaded: dict[Path, Module | None] = {}
        self._imported: dict[tuple[Path, int, str], Module | None] = {}
        self.locked: dict[ast.AST, bool] = {}  # what has been found of the scopes, by loaded.py
        self._of_all: dict[str, tuple[set[Module], set[str]]] = {}

    def add(self, path: Path, shown: str) -> None:
        try:
            module = self._load(path, shown)
        except Unreadable as error:
            self.unreadable.append(error)
            return
        if module not in self.checked:
            self.checked.append(module)

    def load_imports(self) -> None:
        """Loads what the files import, and what configuration they name, also through others."""
        waiting, seen = list(self.checked), set(self.checked)
        while waiting:
            module = waiting.pop()
            for level, dotted in named_modules(module):
                for found in self.files_of(module, level, dotted):
                    if found not in seen:
                        seen.add(found)
                        waiting.append(found)

    def files_of(self, module: Module, level: int, dotted: str) -> Iterator[Module]:
        """The files that an import of this name runs: a package before what is in it."""
        parts = dotted.split(".") if dotted else []
        for count in range(0 if level else 1, len(parts) + 1):
            if found := self.imported(module, level, ".".join(parts[:count])):
                yield found

    def _load(self, path: Path, shown: str) -> Module:
        path = path.resolve()
        if (known := self._loaded.get(path)) is not None:
            return known
        self._loaded[path] = None
        module = read(path, shown)
        self._loaded[path] = module
        return module

    def all(self) -> list[Module]:
        return [module for module in self._loaded.values() if module]

    def of_all(self, kind: str, texts_in: Callable[[Module], Iterable[str]]) -> set[str]:
        """What is found in all files together; `kind` names it."""
        read, found = self._of_all.setdefault(kind, (set(), set()))
        for module in self.all():
            if module not in read:
                read.add(module)
                found.update(texts_in(module))
        return found

    def imported(self, module: Module, level: int, dotted: str) -> Module | None:
        """The file of the app's own module, or nothing."""
        asked = (module.path.parent, level, dotted)
        if asked not in self._imported:
            self._imported[asked] = self._import(module, level, dotted)
        return self._imported[asked]

    def _import(self, module: Module, level: int, dotted: str) -> Module | None:
        parts = dotted.split(".") if dotted else []
        if level:
            folders = [module.path.parents[level - 1]] if level <= len(module.path.parents) else []
        else:
            package = module.path.parent
            while (package / "__init__.py").is_file() and package != package.parent:
                package = package.parent
            folders = [self.folder, package]
        for folder in folders:
            base = folder.joinpath(*parts)
            for path in (base / "__init__.py", base.with_name(base.name + ".py")) if parts else (
                    base / "__init__.py",):
                if path.is_file():
                    try:
                        return self._load(path, os.path.relpath(path))
                    except Unreadable:
                        return None
        return None

    # --- what a name stands for

    def meaning(self, module: Module, node: ast.AST | None, steps: int = STEPS_MAX) -> Meaning:
        """What a name, or a dotted name, stands for; nothing where that is not certain."""
        attributes: list[str] = []
        while isinstance(node, ast.Attribute):
            attributes.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or steps == 0:
            return None
        bindings = module.lookup(node, node.id)
        if not bindings:
            return Foreign(".".join([node.id, *attributes]), unbound=True)
        binding = only(bindings)
        return binding and self._follow(module, binding, attributes, steps)

    def _follow(self, module: Module, binding: Binding, attributes: list[str], steps: int) -> Meaning:
        if steps == 0:  # two files that import each other's name
            return None
        if binding.imported is None:
            value = binding.node
            if isinstance(value, (ast.Name, ast.Attribute)):
                further = self.meaning(module, value, steps - 1)
                if isinstance(further, Foreign) and not further.unbound:
                    return Foreign(".".join([further.dotted, *attributes]))
                if isinstance(further, Own) and not attributes:
                    return further
            return None if attributes else Own(module, binding)
        level, dotted, name = binding.imported
        names = [*([name] if name else []), *attributes]
        return self._find(module, level, dotted.split(".") if dotted else [], names, steps)

    def _find(self, module: Module, level: int, parts: list[str], names: list[str],
              steps: int) -> Meaning:
        """Of `module.path.name.attribute`: the longest beginning that is a file of the app, and what
        the next name is in there."""
        whole = parts + names
        for count in range(len(whole), -1 if level else 0, -1):
            found = self.imported(module, level, ".".join(whole[:count]))
            if found is None:
                continue
            rest = whole[count:]
            if not rest:
                return Own(found, Binding(found.tree))
            binding = only(found.bindings.get(found.tree, {}).get(rest[0], []))
            return binding and self._follow(found, binding, rest[1:], steps - 1)
        return None if level else Foreign(".".join(whole))

    def stands_for(self, module: Module, node: ast.AST | None, known: frozenset[str] | set[str],
                   bare: bool = False) -> str:
        """Which of the known dotted names it is, or "". With `bare` also one that nobody binds: a
        snippet has no imports."""
        meaning = self.meaning(module, node)
        if not isinstance(meaning, Foreign):
            return ""
        if not meaning.unbound:
            return meaning.dotted if meaning.dotted in known else ""
        if bare:
            for dotted in sorted(known):
                if dotted.rpartition(".")[2] == meaning.dotted:
                    return dotted
        return ""

    def call_of(self, module: Module, node: ast.AST | None, known: frozenset[str] | set[str],
                bare: bool = False) -> tuple[Module, ast.Call, str] | None:
        """The call of one of the known names that a node is, or that it is a name of."""
        if isinstance(node, (ast.Name, ast.Attribute)):
            meaning = self.meaning(module, node)
            if not isinstance(meaning, Own):
                return None
            module, node = meaning.module, meaning.binding.node
        if isinstance(node, ast.Call):
            if name := self.stands_for(module, node.func, known, bare):
                return module, node, name
        return None


def only(bindings: list[Binding]) -> Binding | None:
    """The one that counts: `x = None` before, and a stand-in for a missing import, do not."""
    real = [one for one in bindings
            if not (isinstance(one.node, ast.Constant) and one.node.value is None)]
    imports = [one for one in real if one.imported]
    if imports and len({one.imported for one in imports}) == 1:
        return imports[0]
    return real[0] if len(real) == 1 else None


def read(path: Path, shown: str) -> Module:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(shown, 0, 0, error.strerror or str(error)) from None
    if len(data) > FILE_BYTES_MAX:
        raise Unreadable(shown, 0, 0, f"it is larger than {FILE_BYTES_MAX >> 20} MiB")
    try:
        return Module(path, shown, decoded(data))
    except SyntaxError as error:
        raise Unreadable(shown, error.lineno or 1, error.offset or 1, error.msg) from None
    except (UnicodeDecodeError, LookupError, ValueError) as error:
        raise Unreadable(shown, 1, 1, str(error)) from None
    except (RecursionError, MemoryError):
        raise Unreadable(shown, 1, 1, "it is nested too deeply") from None
