"""What runs where a worker loads the app: the top level of its modules and its factory, with all that
these import and call."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from onebox.check.sources import FUNCTIONS, Function, Module, Own, Project, imported_by
from onebox.check.values import Runs, is_main, name_of, runs

FACTORY = re.compile(r"(create|make|build|init)_(wsgi_)?(app|application)|(app|application)_factory")
APPS = {"flask.Flask", "bottle.Bottle", "bottle.default_app", "falcon.App", "falcon.API",
        "quart.Quart", "django.core.wsgi.get_wsgi_application", "pyramid.config.Configurator",
        "connexion.App", "connexion.FlaskApp", "connexion.FlaskApi", "dash.Dash", "eve.Eve",
        "apiflask.APIFlask", "flask_openapi3.OpenAPI"}
BEFORE_REQUESTS = {"before_first_request", "before_app_first_request"}
STANDS_STILL = {"sleep", "join", "pause", "wait", "run_forever", "input"}
LOCKS = {"flock", "lockf", "FileLock", "SoftFileLock", "acquire", "lock"}
SCRIPTS = {"__main__", "manage"}


class Loaded:
    """The nodes that run there."""

    def __init__(self, project: Project):
        self.project = project
        self.seen: set[ast.AST] = set()
        self.nodes: list[tuple[Module, ast.AST]] = []
        for module in list(project.checked):
            if not self.is_script(module):
                self.visit_roots(module)

    def visit_roots(self, module: Module) -> None:
        top = [node for node in executed(module.tree)]
        if any(isinstance(node, ast.Call) and self.project.stands_for(module, node.func, APPS)
               for node in top):
            self.visit(module, module.tree)
        for node in module.nodes:
            if isinstance(node, FUNCTIONS) and self.is_root(module, node):
                self.visit(module, module.tree)
                self.visit(module, node)

    def is_root(self, module: Module, function: Function) -> bool:
        parent = module.parents[function]
        if isinstance(parent, ast.ClassDef):
            return function.name == "ready" and any(
                module.source(base).endswith("AppConfig") for base in parent.bases)
        if any(isinstance(one, ast.Attribute) and one.attr in BEFORE_REQUESTS
               for one in function.decorator_list):
            return True
        if not isinstance(parent, ast.Module):
            return False
        if FACTORY.fullmatch(function.name):
            return True
        if function.name == "application" and len(function.args.args) == 2:
            return True
        body = list(executed(function))
        returns = {node.value.id for node in body
                   if isinstance(node, ast.Return) and isinstance(node.value, ast.Name)}
        return any(isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
                   and isinstance(node.targets[0], ast.Name) and node.targets[0].id in returns
                   and self.project.stands_for(module, node.value.func, APPS) for node in body)

    def is_script(self, module: Module) -> bool:
        """It is a process of its own: it stands still at its top level."""
        if module.path.stem in SCRIPTS:
            return True
        for node in executed(module.tree):
            if isinstance(node, ast.While) and isinstance(node.test, ast.Constant):
                return True
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                if name_of(node.value.func) in STANDS_STILL:
                    return True
        return False

    def visit(self, module: Module, scope: ast.AST) -> None:
        waiting = [(module, scope)]
        while waiting:
            module, scope = waiting.pop()
            if scope in self.seen:
                continue
            self.seen.add(scope)
            for node in executed(scope):
                self.nodes.append((module, node))
                waiting += self.leads_to(module, node)

    def leads_to(self, module: Module, node: ast.AST) -> Iterator[tuple[Module, ast.AST]]:
        """Files that it imports, and the function that it calls: where every worker gets there."""
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if not is_guarded(self.project, module, node):
                for level, dotted in imported_by(node):
                    for found in self.project.files_of(module, level, dotted):
                        yield found, found.tree
        elif isinstance(node, ast.Call):
            meaning = self.project.meaning(module, node.func)
            if isinstance(meaning, Own) and not is_guarded(self.project, module, node):
                called = meaning.binding.node
                if isinstance(called, FUNCTIONS):
                    yield meaning.module, called
                elif isinstance(called, ast.ClassDef):
                    yield from ((meaning.module, one) for one in called.body
                                if isinstance(one, FUNCTIONS) and one.name == "__init__")


def is_guarded(project: Project, module: Module, node: ast.AST) -> bool:
    """Whether it may be that one process alone gets there: by a condition, or by a lock."""
    if runs(project, module, node, neutral=_asks_whether_it_runs) is not Runs.ALWAYS:
        return True
    scope = next(module.scopes(node))
    if scope not in project.locked:
        project.locked[scope] = any(isinstance(other, ast.Call) and _locks(project, module, other)
                                    for other in executed(scope))
    return project.locked[scope]


def _locks(project: Project, module: Module, call: ast.Call) -> bool:
    """A call that takes a lock, or a function of the app's that does."""
    if _is_lock(module, call.func):
        return True
    meaning = project.meaning(module, call.func)
    return isinstance(meaning, Own) and isinstance(meaning.binding.node, FUNCTIONS) and any(
        isinstance(one, ast.Call) and _is_lock(meaning.module, one.func)
        for one in ast.walk(meaning.binding.node))


def _is_lock(module: Module, function: ast.expr) -> bool:
    if name_of(function) == "bind":  # of a port, which only one process gets
        return isinstance(function, ast.Attribute) and "sock" in name_of(function.value).lower()
    return name_of(function) in LOCKS


def _asks_whether_it_runs(test: ast.expr) -> bool:
    """`if not scheduler.running`, `if scheduler.state == 0`: of this process alone."""
    return any(isinstance(node, ast.Attribute) and node.attr in ("running", "state")
               for node in ast.walk(test))


def executed(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run when a module is imported or a function is called; not what these define,
    and nothing behind `if __name__ == "__main__"`."""
    waiting: list[ast.AST] = list(reversed(scope.body))  # type: ignore[attr-defined]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, FUNCTIONS):
            further: list[ast.AST] = [*node.decorator_list, node.args]
        elif isinstance(node, ast.Lambda):
            further = [node.args]
        elif isinstance(node, ast.If) and is_main(node.test):
            further = list(node.orelse)
        else:
            further = list(ast.iter_child_nodes(node))
        waiting += reversed(further)
