"""The command: which files, what of them, told how."""
from __future__ import annotations

import argparse
import json
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from onebox.check import caching, limits, pools, rules, schedulers, secret_keys
from onebox.check.findings import Finding
from onebox.check.settings import imports
from onebox.check.sources import Project, Unreadable

FOUND, CANNOT = 1, 2
LEFT_OUT = {"node_modules", "site-packages", "dist-packages", "tests", "test"}
TEST = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")
OF_A_FILE = (caching.find_decorators, caching.find_types, caching.find_objects, limits.find,
             secret_keys.find, schedulers.find_executors, pools.find)
READ_DOTENV = ("dotenv", "decouple", "environ", "environs")
VARIABLE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)")


def files_of(folder: Path) -> Iterator[Path]:
    """Its Python files: no tests, nothing hidden, no virtual environment."""
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = sorted(name for name in folders
                            if not name.startswith((".", "__pycache__")) and name not in LEFT_OUT
                            and not (here / name / "pyvenv.cfg").exists())
        yield from (here / name for name in sorted(names)
                    if name.endswith(".py") and not name.startswith(".") and not TEST.fullmatch(name))


def read_project(paths: list[str], environment: dict[str, str]) -> Project:
    first = Path(paths[0])
    folder = (first if first.is_dir() else first.parent).resolve()
    here = Path.cwd()
    project = Project(dict(environment), here if folder.is_relative_to(here) else folder)
    for path in paths:
        if os.path.isdir(path):
            for file in files_of(Path(path)):
                project.add(file, os.path.normpath(file))
        else:
            project.add(Path(path), os.path.normpath(path))
    project.load_imports()
    if any(imports(project, package) for package in READ_DOTENV):
        for file in {project.folder / ".env", folder / ".env"}:
            project.variables.update(variables_of(file))
    return project


def variables_of(file: Path) -> dict[str, str]:
    """Of a .env file, which the app reads itself."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found = filter(None, map(VARIABLE.fullmatch, lines))
    return {match[1]: match[2].strip().strip("'\"") for match in found}


def find(project: Project, workers: int) -> list[Finding]:
    found: list[Finding] = []
    for module in list(project.checked):
        try:
            found += [finding for one in OF_A_FILE for finding in one(project, module, workers)]
        except RecursionError:
            project.unreadable.append(Unreadable(module.shown, 1, 1, "it is nested too deeply"))
    found += schedulers.find_started(project, workers)
    kept = {(finding.module.shown, finding.line, finding.column, finding.rule.id): finding
            for finding in found if not finding.is_ignored()}
    return [kept[key] for key in sorted(kept)]


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def as_json(project: Project, found: list[Finding], workers: int) -> str:
    return json.dumps({
        "workers": workers, "files": len(project.checked),
        "findings": [finding.as_json() for finding in found],
        "unreadable": [{"file": error.shown, "line": error.line, "column": error.column,
                        "message": error.message} for error in project.unreadable]}, indent=1)


def place_of(error: Unreadable) -> str:
    return f"{error.shown}:{error.line}:{error.column}" if error.line else error.shown


def tell(project: Project, found: list[Finding], workers: int) -> None:
    for finding in found:
        print(finding.as_text())
    print(f"{counted(len(found), 'finding') if found else 'nothing found'} in "
          f"{counted(len(project.checked), 'file')}, for {counted(workers, 'worker')}")
    sys.stdout.flush()
    for error in project.unreadable:
        print(f"onebox: {place_of(error)}: {error.message} (read with {sys.executable}, "
              f"{'.'.join(map(str, sys.version_info[:3]))})", file=sys.stderr)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser("onebox check", add_help=False)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("paths", nargs="*")
    asked = parser.parse_args(words)
    try:
        return run(asked)
    except BrokenPipeError:  # a reader who has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CANNOT
    except Exception:  # a mistake of ours, which must not look like a finding
        traceback.print_exc()
        return CANNOT


def run(asked: argparse.Namespace) -> int:
    if asked.page:
        print(rules.page(), end="")
        return 0
    project = read_project(asked.paths or ["."], dict(os.environ))
    found = find(project, asked.workers)
    if asked.json:
        print(as_json(project, found, asked.workers))
    else:
        tell(project, found, asked.workers)
    sys.stdout.flush()
    if project.unreadable:
        return CANNOT
    return FOUND if found else 0
