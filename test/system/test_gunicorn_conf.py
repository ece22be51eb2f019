"""Does each kind of gunicorn.conf.py load, and is what Onebox says of it true?

A file of test/gunicorn_conf is a gunicorn.conf.py with what must be said of it on top:

    #: vary NAME = A | B            makes one file of it for each value; @NAME@ stands for it
    #: env NAME=VALUE               of the environment
    #: workers mapped TEXT          a line of the report: its verdict, and what the reason holds
    #: option app.workers = 2       in force, by the file; or "... by SOURCE"
    #: unknown NAME SETTING         taken for a misspelling of that setting
    #: advice NAME                  there is advice on it
    #: fails TEXT                   it ends with exit status 2 and says so

What it does not name must not be in the report.
"""
import re
import shutil

import pytest
from gunicorn.config import KNOWN_SETTINGS

from onebox import APPS, PYTHON, ROOT, onebox

pytestmark = pytest.mark.once

SHAPES = ROOT / "test/gunicorn_conf"
WORDS = {"vary", "env", "option", "unknown", "advice", "fails"}


def variants(text):
    """The text of each file that a shape stands for."""
    values = re.findall(r"^#: vary (\w+) = (.*)$", text, re.MULTILINE)
    count = max((len(options.split(" | ")) for _, options in values), default=1)
    for index in range(count):
        made = re.sub(r"^#: vary .*\n", "", text, flags=re.MULTILINE)
        for name, options in values:
            made = made.replace(f"@{name}@", options.split(" | ")[index])
        yield made


FILES = [pytest.param(text, id=f"{path.stem}-{number}")
         for path in sorted(SHAPES.glob("*.shape"))
         for number, text in enumerate(variants(path.read_text(encoding="utf-8")), 1)]


def expectations(text):
    found = {word: [] for word in WORDS}
    verdicts = {}
    for line in re.findall(r"^#: (.*)$", text, re.MULTILINE):
        word, _, rest = line.partition(" ")
        if word in WORDS:
            found[word].append(rest)
        else:
            verdict, _, reason = rest.partition(" ")
            verdicts[word] = (verdict, reason)
    return found, verdicts


def sections(output):
    """The report's lines, the names it does not know, the advice."""
    parts = {"What became": [], "Names that": [], "Advice": []}
    current = None
    for line in output.splitlines():
        title = next((part for part in parts if line.startswith(f"# {part}")), None)
        if title:
            current = parts[title]
        elif current is not None and line.startswith("# "):
            current.append(line[2:])
    return parts.values()


def report_lines(lines):
    """Of each setting: who has said it, the verdict, the reason."""
    found = {}
    for line in lines:
        match = re.match(r"(?P<source>.*?)  (?:def (?P<hook>\w+)\(|(?P<name>\w+) = ).*?"
                         r"  (?P<verdict>honoured|mapped|ignored|refused) +(?P<why>.*)", line)
        if match:
            found[match["hook"] or match["name"]] = match["source"], match["verdict"], match["why"]
    return found


def test_there_are_200_files_that_load_of_more_than_40_shapes():
    assert len([file for file in FILES if "#: fails" not in file.values[0]]) >= 200
    assert len(list(SHAPES.glob("*.shape"))) >= 40


@pytest.mark.parametrize("text", FILES)
def test_each_file_loads_with_a_true_report(tmp_path, text):
    folder = tmp_path / "conf"
    shutil.copytree(SHAPES / "beside", folder)
    (folder / "gunicorn.conf.py").write_text(text, encoding="utf-8")
    expected, verdicts = expectations(text)
    result = onebox("run", "seen:app", "-c", "gunicorn.conf.py", "--print-config",
                    "--python", PYTHON, cwd=folder,
                    environment=dict(pair.split("=", 1) for pair in expected["env"]))
    said = result.stdout + result.stderr

    assert result.returncode == (2 if expected["fails"] else 0), said
    for text_of_failure in expected["fails"]:
        assert text_of_failure in result.stderr, said
    lines, unknown, advice = sections(result.stdout)
    found = report_lines(lines)
    assert found.keys() == verdicts.keys(), said
    for name, (verdict, reason) in verdicts.items():
        assert found[name][1] == verdict and reason in found[name][2], said
        written = [number for number, line in enumerate(text.splitlines(), 1)
                   if re.match(rf"\s*(def )?{name}\b", line)]
        if len(written) == 1 and found[name][0].startswith("gunicorn.conf.py"):
            assert found[name][0] == f"gunicorn.conf.py:{written[0]}", said

    assert [re.search(r": (\w+): .*; is it (\w+)\?$", line).groups() for line in unknown] == [
        tuple(pair.split()) for pair in expected["unknown"]], said
    advised = [line.split(": ")[1] for line in advice]
    assert set(expected["advice"]) <= set(advised), said
    for option in expected["option"]:
        assert in_force(result.stdout, option), said


def in_force(output, option):
    """Whether "app.workers = 2" is set so, by the file or "by SOURCE"."""
    setting, _, source = option.partition(" by ")
    name, _, value = setting.partition(" = ")
    table, _, key = name.partition(".")
    section = output.partition(f"[{table}]\n")[2].partition("\n\n")[0]
    line = next(line for line in section.splitlines() if line.startswith(f"{key} = "))
    shown, _, by = line.rpartition("  # ")
    return shown.strip() == f"{key} = {value}" and (
        by == source if source else by.startswith(("gunicorn.conf.py", "environment", "GUNICORN")))


@pytest.mark.parametrize("name", ["python:base_conf", "file:base_conf.py", "./base_conf.py"])
def test_the_file_is_named_as_with_gunicorn(name):
    result = onebox("run", "seen:app", "-c", name, "--print-config", "--python", PYTHON,
                    cwd=SHAPES / "beside")
    assert result.returncode == 0, result.stderr
    assert in_force(result.stdout, f"app.workers = 7 by {name.removeprefix('file:')}:2"), (
        result.stdout)


@pytest.mark.parametrize("name, words", [
    ("nowhere.py", "nowhere.py: there is no such file"),
    ("python:no_such_module_at_all", "no_such_module_at_all: there is no such module")])
def test_a_file_that_is_not_there_is_named(tmp_path, name, words):
    result = onebox("run", "seen:app", "-c", name, "--check-config", "--python", PYTHON,
                    cwd=tmp_path)
    assert result.returncode == 2 and words in result.stderr, result.stderr


def test_a_failing_file_ends_the_start_with_what_it_printed_and_its_line(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text('print("asking the vault")\n\n1 / 0\n')
    result = onebox("run", "seen:app", "-c", "gunicorn.conf.py", "--python", PYTHON, cwd=tmp_path)
    assert result.returncode == 2
    assert "asking the vault" in result.stderr
    assert 'gunicorn.conf.py", line 3' in result.stderr
    assert "ZeroDivisionError" in result.stderr
    assert "/python/onebox/" not in result.stderr, "our own frames"


def test_the_line_goes_over_the_variable_and_the_variable_over_the_file(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text("workers = 3\nthreads = 3\ntimeout = 3\n")
    result = onebox("run", "seen:app", "-c", "gunicorn.conf.py", "--print-config", "--workers", "5",
                    "--python", PYTHON, cwd=tmp_path, environment={"ONEBOX_APP_THREADS": "4"})
    assert in_force(result.stdout, "app.workers = 5 by command line --workers"), result.stdout
    assert in_force(result.stdout, "app.threads = 4 by environment ONEBOX_APP_THREADS")
    assert in_force(result.stdout, 'app.timeout = "3s" by gunicorn.conf.py:3')


def test_the_page_of_settings_is_that_of_the_code():
    made = onebox("reference", "gunicorn", environment={"ONEBOX_APP_PYTHON": PYTHON})
    assert made.returncode == 0, made.stderr
    assert made.stdout == (ROOT / "docs/use/gunicorn-settings.md").read_text()


def test_every_setting_of_debians_gunicorn_has_a_row():
    page = (ROOT / "docs/use/gunicorn-settings.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE))
    assert len(rows) == 120  # 119 of Gunicorn 26, and one that it has no more
    for setting in KNOWN_SETTINGS:
        assert re.findall(r"`([^`]+)`", rows[setting.name]) == list(setting.cli or [])


def test_the_apps_folder_is_where_the_file_runs(tmp_path):
    (tmp_path / "gunicorn.conf.py").write_text(
        "import os\nimport seen\nassert seen.app\nproc_name = os.getcwd()\n")
    result = onebox("run", "seen:app", "-c", tmp_path / "gunicorn.conf.py", "--print-config",
                    "--python", PYTHON, "--chdir", APPS, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert f"proc_name = '{APPS}'" in result.stdout.replace("...", "")
