"""Flask-Caching's decorator, and caches that each process has for itself."""
from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from importlib import metadata

from onebox.check import rules
from onebox.check.findings import Change, Finding, import_line, mend, replaced
from onebox.check.settings import Setting, imports, in_force, is_read
from onebox.check.sources import FUNCTIONS, Foreign, Function, Module, Own, Project
from onebox.check.values import Runs, evaluate, name_of, runs, text_of, where_from

CACHES = {"flask_caching.Cache", "flask_cache.Cache", "flask.ext.cache.Cache"}
ROUTES = {"route", "get", "post", "put", "patch", "delete", "endpoint", "errorhandler",
          "app_errorhandler"}
ERRORS = {"errorhandler", "app_errorhandler"}
PARAMETERS = ("timeout", "key_prefix", "unless", "forced_update", "response_filter", "query_string",
              "hash_method", "cache_none", "make_cache_key", "source_check")
OF_MEMOIZE = {"timeout", "unless", "forced_update", "response_filter", "hash_method", "cache_none",
              "source_check"}
ONEBOX_CACHE = "onebox.flask_caching.OneboxCache"
ONEBOX_DJANGO = "onebox.django_cache.OneboxCache"
CLASSES = {"null": "NullCache", "simple": "SimpleCache", "filesystem": "FileSystemCache",
           "redis": "RedisCache", "redissentinel": "RedisSentinelCache",
           "rediscluster": "RedisClusterCache", "uwsgi": "UWSGICache", "memcached": "MemcachedCache",
           "gaememcached": "MemcachedCache", "saslmemcached": "SASLMemcachedCache",
           "spreadsaslmemcached": "SpreadSASLMemcachedCache"}
BACKENDS = "flask_caching.backends."
OF_PROCESS = {"SimpleCache", "simple", BACKENDS + "SimpleCache", BACKENDS + "simple",
              BACKENDS + "simplecache.SimpleCache", "cachelib.SimpleCache",
              "cachelib.simple.SimpleCache"}
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
CACHELIB = {"cachelib.SimpleCache", "cachelib.simple.SimpleCache",
            "werkzeug.contrib.cache.SimpleCache"}
REMOVED_IN = (2, 5)  # the lower-case names, of Flask-Caching


# --- @cache.cached() ------------------------------------------------------------


def find_decorators(project: Project, module: Module, workers: int) -> Iterator[Finding]:
    for function in module.nodes:
        if not isinstance(function, FUNCTIONS):
            continue
        for decorator in function.decorator_list:
            if not isinstance(decorator, ast.Call) or not isinstance(decorator.func, ast.Attribute):
                continue
            if decorator.func.attr == "cached":
                yield from _cached(project, module, function, decorator)


def arguments(call: ast.Call) -> dict[str, ast.expr] | None:
    """The arguments by name; nothing where some are not known."""
    if any(isinstance(argument, ast.Starred) for argument in call.args):
        return None
    if any(keyword.arg is None for keyword in call.keywords) or len(call.args) > len(PARAMETERS):
        return None
    named = dict(zip(PARAMETERS, call.args))
    named.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg})
    return {name: value for name, value in named.items()
            if not (isinstance(value, ast.Constant) and value.value is None)}


def _cached(project: Project, module: Module, function: Function,
            call: ast.Call) -> Iterator[Finding]:
    given = arguments(call)
    receiver = call.func.value  # type: ignore[attr-defined]
    is_cache = project.call_of(module, receiver, CACHES) is not None
    if given is None or "make_cache_key" in given:
        return
    if not is_cache and (set(given) - set(PARAMETERS) or not may_be_cache(project, module, receiver)):
        return
    query = evaluate(project, module, given["query_string"]) if "query_string" in given else None
    if "query_string" in given and (query is None or query.constant):
        prefix = None
    elif "key_prefix" in given:
        found = evaluate(project, module, given["key_prefix"])
        if found is None or not isinstance(found.constant, str):
            return
        prefix = None if "%s" in found.constant else found.constant
    else:
        prefix = None
    if prefix is not None and (is_cache or "key_prefix" in given):
        yield from _constant_key(project, module, function, call, prefix)
    elif prefix is None and is_cache:
        yield from _not_a_view(project, module, function, call)


def may_be_cache(project: Project, module: Module, receiver: ast.expr) -> bool:
    """A name that nobody can follow, but no other class's object. Its key_prefix says the rest."""
    meaning = project.meaning(module, receiver)
    if isinstance(meaning, Own):
        return isinstance(meaning.binding.node, ast.arg)
    return meaning is None or isinstance(meaning, Foreign)


def parameters(module: Module, function: Function) -> list[str]:
    """Those that the answer may depend on: not what a method is called on, and none that the body does
    not use. A body that says nothing yet uses all."""
    names = all_parameters(module, function)
    if all(isinstance(one, (ast.Pass, ast.Expr)) and not isinstance(
            getattr(one, "value", None), (ast.Call, ast.Await)) for one in function.body):
        return names
    used = {node.id for statement in function.body for node in ast.walk(statement)
            if isinstance(node, ast.Name)}
    return names if used & {"locals", "vars", "eval"} else [name for name in names if name in used]


def all_parameters(module: Module, function: Function) -> list[str]:
    """Without what a method, or a task that is bound to itself, is called on."""
    every = function.args
    names = [argument.arg for argument in [*every.posonlyargs, *every.args]]
    if is_method(module, function) or names[:1] in (["self"], ["cls"]):
        names = names[1:]
    names += [argument.arg for argument in every.kwonlyargs]
    return names + [rest.arg for rest in (every.vararg, every.kwarg) if rest]


def required(function: Function) -> int:
    """How many parameters have no default."""
    every = function.args
    by_position = len(every.posonlyargs) + len(every.args) - len(every.defaults)
    return by_position + every.kw_defaults.count(None)


def is_method(module: Module, function: Function) -> bool:
    static = any(isinstance(one, ast.Name) and one.id == "staticmethod"
                 for one in function.decorator_list)
    return isinstance(module.parents[function], ast.ClassDef) and not static


def routes(function: Function) -> list[ast.Call]:
    """The decorators that make it a view."""
    return [one for one in function.decorator_list
            if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute)
            and one.func.attr in ROUTES]


def is_view(module: Module, function: Function) -> bool:
    """Or may be one: a method of a class with a base, such as MethodView's."""
    parent = module.parents[function]
    return bool(routes(function)) or (isinstance(parent, ast.ClassDef) and bool(parent.bases))


def _constant_key(project: Project, module: Module, function: Function, call: ast.Call,
                  prefix: str) -> Iterator[Finding]:
    names = parameters(module, function)
    if any(route.func.attr in ERRORS for route in routes(function)):  # type: ignore[attr-defined]
        return  # one page for all errors is what is meant
    given = arguments(call) or {}
    if {"unless", "forced_update"} & set(given) and not required(function):
        return  # they may say how to ask, and not for what
    variables = [route for route in routes(function) if route.args and "<" in text_of(route.args[0])]
    if not names and not variables:
        return
    if names:
        asked = _listed(names)
        what = f"{function.name}() has the one entry \"{prefix}\", whatever {asked} {_is(names)}"
    else:
        what = (f"all pages of {module.source(variables[0].args[0])} have the one entry \"{prefix}\"")
    yield Finding(rules.CONSTANT_KEY, module, call, what,
                  mend=mend(module, [_with_a_right_key(module, function, call, prefix)]))


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _with_a_right_key(module: Module, function: Function, call: ast.Call, prefix: str) -> Change:
    given = arguments(call) or {}
    kept = {name: module.source(value) for name, value in given.items()
            if name not in ("key_prefix", "query_string", "make_cache_key")}
    receiver = module.source(call.func.value)  # type: ignore[attr-defined]
    if is_view(module, function):  # the default key is the path
        return replaced(module, call, f"{receiver}.cached({_joined(kept)})")
    if is_method(module, function):  # memoize() would take repr(self) into the key
        kept["make_cache_key"] = _key_of_all(module, function, prefix)
        return replaced(module, call, f"{receiver}.cached({_joined(kept)})")
    return replaced(module, call, f"{receiver}.memoize({_joined(kept)})")


def _joined(given: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in given.items())


def _key_of_all(module: Module, function: Function, prefix: str) -> str:
    taken = copy.deepcopy(function.args)
    for argument in [*taken.posonlyargs, *taken.args, *taken.kwonlyargs, taken.vararg, taken.kwarg]:
        if argument:
            argument.annotation = None
    fields = "".join(f":{{{name}!r}}" for name in all_parameters(module, function))
    quote = '"' if '"' not in prefix else "'"
    prefix = prefix.replace("{", "{{").replace("}", "}}")
    return f"lambda {ast.unparse(taken)}: f{quote}{prefix}{fields}{quote}"


def _not_a_view(project: Project, module: Module, function: Function,
                call: ast.Call) -> Iterator[Finding]:
    if is_view(module, function) or len(function.decorator_list) > 1:
        return
    if not isinstance(module.parents[function], ast.Module):
        return
    if not is_only_called(project, function):
        return
    given = arguments(call) or {}
    names = parameters(module, function)
    kept = {name: module.source(value) for name, value in given.items()
            if name in OF_MEMOIZE}
    receiver = module.source(call.func.value)  # type: ignore[attr-defined]
    if names:
        change = f"{receiver}.memoize({_joined(kept)})"
    else:
        kept["key_prefix"] = f"\"{function.name}\""
        change = f"{receiver}.cached({_joined(kept)})"
    what = f"{function.name}() is called as a function, and its key is the path of the request"
    yield Finding(rules.NOT_A_VIEW, module, call, what,
                  mend=mend(module, [replaced(module, call, change)]))


def is_only_called(project: Project, function: Function) -> bool:
    """Whether the app calls it, and hands it to nobody who might make it a view."""
    named = project.of_all("named", _named_in)
    if function.name not in named:
        return False
    called = False
    for other in project.all():
        for node in other.nodes:
            if text_of(node).rpartition(".")[2] == function.name:
                return False
            if name_of(node) != function.name or isinstance(getattr(node, "ctx", None), ast.Store):
                continue
            parent = other.parents[node]
            if not (isinstance(parent, ast.Call) and node is parent.func):
                return False
            meaning = project.meaning(other, node)
            called = called or (isinstance(meaning, Own) and meaning.binding.node is function)
    return called


def _named_in(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


# --- caches of one process, and names that are gone ------------------------------


def find_types(project: Project, module: Module, workers: int) -> Iterator[Finding]:
    found = list(in_force(project, module, {"CACHE_TYPE"}))
    if found and not imports(project, "flask_caching") and is_read(project, {"CACHE_TYPE"}):
        return  # another thing of that name
    for setting, when in found:
        value = evaluate(project, module, setting.value)
        if value is None or value.from_environment or not isinstance(value.constant, str):
            continue
        name = value.constant.removeprefix(BACKENDS)
        if workers > 1 and value.constant in OF_PROCESS:
            what = (f"CACHE_TYPE \"{value.constant}\"{where_from(when, value.instead_of)}: "
                    f"{workers} workers have {workers} caches")
            yield Finding(rules.PROCESS_CACHE, module, setting.place, what,
                          mend=_value(module, setting, ONEBOX_CACHE))
        elif name in CLASSES:
            yield Finding(rules.LOWER_CASE_TYPE, module, setting.place,
                          f"CACHE_TYPE \"{value.constant}\"{where_from(when, value.instead_of)} is "
                          f"{CLASSES[name]} by its old name", _installed(),
                          mend=_value(module, setting, CLASSES[name]))


def _installed() -> str:
    """Why, by the version that is there."""
    try:
        version = metadata.version("flask-caching")
        parts = tuple(int(part) for part in version.split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return ""
    if parts >= REMOVED_IN:
        return ""
    return (f"{rules.LOWER_CASE_TYPE.why} {version}, which is installed, still has them: the next "
            "upgrade is what breaks.")


def _value(module: Module, setting: Setting, text: str) -> tuple:
    return mend(module, [replaced(module, setting.value, f"\"{text}\"")])


def find_objects(project: Project, module: Module, workers: int) -> Iterator[Finding]:
    if workers == 1:
        return
    for node in module.nodes:
        if isinstance(node, ast.Call) and project.stands_for(module, node.func, CACHELIB):
            if runs(project, module, node) is not Runs.NEVER:
                yield Finding(rules.PROCESS_CACHE, module, node,
                              f"a SimpleCache: {workers} workers have {workers} caches",
                              mend=_onebox_object(module, node))
    for setting, _ in in_force(project, module, {"CACHES"}):
        if isinstance(setting.value, ast.Dict):
            yield from _django(project, module, setting.value, workers)


def _onebox_object(module: Module, call: ast.Call) -> tuple:
    """The same time to live; the number of entries is no limit of a cache that counts bytes."""
    kept = [module.source(keyword) for keyword in call.keywords if keyword.arg == "default_timeout"]
    if len(call.args) > 1:
        kept = [f"default_timeout={module.source(call.args[1])}"]
    return mend(module, [replaced(module, call, f"OneboxCache({', '.join(kept)})"),
                         *import_line(module, "from onebox.flask_caching import OneboxCache")])


def _django(project: Project, module: Module, caches: ast.Dict, workers: int) -> Iterator[Finding]:
    for cache in caches.values:
        for key, value in zip(cache.keys, cache.values) if isinstance(cache, ast.Dict) else ():
            if text_of(key) != "BACKEND":
                continue
            backend = evaluate(project, module, value)
            if backend is None or backend.constant != LOCMEM or backend.from_environment:
                continue
            when = runs(project, module, key)
            if when is not Runs.NEVER:
                yield Finding(rules.PROCESS_CACHE, module, value,
                              f"LocMemCache{where_from(when, backend.instead_of)}: "
                              f"{workers} workers have {workers} caches",
                              mend=mend(module, [replaced(module, value, f"\"{ONEBOX_DJANGO}\"")]))
