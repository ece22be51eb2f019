"""Keys that are drawn at random by each process."""
from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from onebox.check import rules
from onebox.check.findings import Finding, import_line, mend, replaced
from onebox.check.settings import Setting, in_force
from onebox.check.sources import Module, Own, Project
from onebox.check.values import Lookup, Runs, evaluate, lookup, name_of

NAMES = {"SECRET_KEY", "JWT_SECRET_KEY", "WTF_CSRF_SECRET_KEY", "SECURITY_PASSWORD_SALT"}
DRAWS = {"os.urandom", "os.getrandom", "secrets.token_hex", "secrets.token_bytes",
         "secrets.token_urlsafe", "secrets.choice", "secrets.randbits", "secrets.SystemRandom",
         "uuid.uuid4", "uuid.uuid1",
         "random.choice", "random.choices", "random.random", "random.randint", "random.randbytes",
         "random.getrandbits", "random.sample", "random.SystemRandom",
         "cryptography.fernet.Fernet.generate_key",
         "django.core.management.utils.get_random_secret_key",
         "django.utils.crypto.get_random_string"}
TAKE_CONFIG = {"update", "from_mapping", "configure", "Config", "dict"}
CONFIG = re.compile(r"config|settings|default|options")
WRITE = {"print", "write", "write_text", "write_bytes", "writelines", "dump", "dumps",
         "set_key", "format"}
ASIDE = (ast.Lambda, ast.FunctionDef, ast.AsyncFunctionDef)
FALLBACK = ("{variable} is not set here. Where it is missing when the app runs too, nothing tells: "
            "each process draws its own key, and what one has signed the next refuses.")


def find(project: Project, module: Module, workers: int) -> Iterator[Finding]:
    for setting, when in in_force(project, module, NAMES):
        if _is_handed_out(module, setting):
            continue
        value = _followed(project, module, setting.value)
        drawn = _draw_in(project, module, value)
        if drawn is None:
            continue
        asked = _variable(project, module, value)
        if asked and project.variables.get(asked.name):
            continue
        known = evaluate(project, module, value)
        if known and known.constant:
            continue  # a constant comes before it
        source = module.source(drawn)
        variable = asked.name if asked else setting.name
        fallback = bool(asked) or when is Runs.SOMETIMES or isinstance(value, (ast.BoolOp, ast.IfExp))
        if asked:
            what = f"without {variable} each process takes a {setting.name} of its own, from {source}"
        elif fallback:
            what = (f"where this is reached each process takes a {setting.name} of its own, from "
                    f"{source}")
        else:
            what = f"each process takes a {setting.name} of its own, from {source}"
        yield Finding(rules.SECRET_KEY, module, setting.place, what,
                      FALLBACK.format(variable=variable) if asked else "",
                      mend=_mend(module, setting, variable))


def _is_handed_out(module: Module, setting: Setting) -> bool:
    """A script that makes a key to keep it: prints it, or writes it into a file."""
    if isinstance(setting.container, ast.Dict):
        for parent in module.ancestors(setting.container):
            if isinstance(parent, ast.Return):
                return False
            if isinstance(parent, ast.Call):
                return name_of(parent.func) not in TAKE_CONFIG
            if isinstance(parent, (ast.Assign, ast.AnnAssign)):
                target = parent.targets[0] if isinstance(parent, ast.Assign) else parent.target
                return not CONFIG.search(name_of(target).lower())
        return True
    if not isinstance(setting.place, ast.Assign) or not isinstance(setting.place.targets[0], ast.Name):
        return False
    return any(isinstance(parent, ast.JoinedStr)
               or (isinstance(parent, ast.Call) and name_of(parent.func) in WRITE)
               for node in module.nodes
               if isinstance(node, ast.Name) and node.id == setting.name
               for parent in module.ancestors(node))


def _mend(module: Module, setting: Setting, variable: str) -> tuple:
    names = [name for name, bindings in module.bindings.get(module.tree, {}).items()
             if any(binding.imported == (0, "os", "") for binding in bindings)]
    needs = [] if names else import_line(module, "import os")
    text = f"{(names or ['os'])[0]}.environ[\"{variable}\"]"
    return mend(module, [replaced(module, setting.value, text), *needs])


def _followed(project: Project, module: Module, value: ast.expr) -> ast.expr:
    """The expression of a name that is used for nothing else: what is kept elsewhere too may come
    back."""
    if not isinstance(value, ast.Name) or value.id in NAMES:  # those are found where they are set
        return value
    meaning = project.meaning(module, value)
    if not isinstance(meaning, Own) or meaning.module is not module:
        return value
    bound = meaning.binding.node
    uses = [node for node in module.nodes
            if isinstance(node, ast.Name) and node.id == value.id and isinstance(node.ctx, ast.Load)]
    return bound if isinstance(bound, ast.expr) and len(uses) == 1 else value


def _draw_in(project: Project, module: Module, value: ast.AST) -> ast.Call | None:
    """The call that draws, where the value is made of it."""
    if isinstance(value, ASIDE):
        return None
    if isinstance(value, ast.Call) and project.stands_for(module, value.func, DRAWS):
        return value
    if isinstance(value, ast.Call):
        made_of: list[ast.AST] = [*value.args, *(keyword.value for keyword in value.keywords)]
        if isinstance(value.func, ast.Attribute):
            made_of.append(value.func.value)
        if isinstance(project.meaning(module, value.func), Own):
            return None  # a function of the app's, which may keep its key in a file
    else:
        made_of = list(ast.iter_child_nodes(value))
    for part in made_of:
        if (found := _draw_in(project, module, part)) is not None:
            return found
    return None


def _variable(project: Project, module: Module, value: ast.AST) -> Lookup | None:
    """The variable of the environment that goes before."""
    for node in ast.walk(value):
        if isinstance(node, ast.expr) and (found := lookup(project, module, node)):
            return found
    return None
