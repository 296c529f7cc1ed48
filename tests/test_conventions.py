"""Conventions of this code base, held by tests."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from flask import Flask
from flask_babel import force_locale

from inventory import text
from inventory.config import Config

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "inventory"
REFUSAL_CLASSES = {"Refusal", "Invalid", "NotFound", "NotAllowed", "TooMany", "Elsewhere"}
LEDGER = "services/ledger.py"
BULK = "services/ledger_bulk.py"
AT_ONCE = "services/ledger_at_once.py"
MANY = "services/ledger_many.py"
ROWS = "services/ledger_rows.py"
LEDGER_TABLES = {"Movement", "Balance", "DailyTotal"}
LONGEST_FUNCTION = 60
# Where the clock may be read: everything below is told the time.
EDGES = (
    "security/",
    "cli.py",
    "backup_commands.py",
    "bench_commands.py",
    "jobs.py",
    "serving.py",
    "web/",
    "api/",
    "bench/",
)


@cache
def modules() -> dict[str, ast.Module]:
    """The package's modules by their path below inventory/."""
    return {
        file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text(encoding="utf-8"), str(file))
        for file in sorted(PACKAGE.rglob("*.py"))
    }


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(node: ast.AST) -> str:
    """The last name of a call's function: `insert` of `sa.insert`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def names_in(node: ast.AST) -> set[str]:
    return {name_of(part) for part in ast.walk(node)}


# --- one writer --------------------------------------------------------------------------------------------------


def test_movements_are_inserted_at_exactly_one_place() -> None:
    places = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        for call in calls(tree)
        if name_of(call.func) == "Movement" or writes(call, {"Movement"})
    ]
    assert [place.split(":")[0] for place in places] == [ROWS], places
    takers = {path for path, tree in modules().items() for name in imported(tree) if name == "INSERT"}
    assert takers == {LEDGER, AT_ONCE, MANY}


def imported(tree: ast.AST) -> Iterator[str]:
    return (alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names)


def writes(call: ast.Call, tables: set[str]) -> bool:
    """Whether a call is insert(Table), update(Table.__table__), Table.__table__.delete() and the like."""
    if name_of(call.func) in ("insert", "update", "delete", "insert_or"):
        subjects = [*call.args[:2], call.func]
        return any(names_in(subject) & tables for subject in subjects)
    return name_of(call.func) in tables


def test_only_the_ledger_writes_movements_balances_and_daily_totals() -> None:
    others = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        if path not in (LEDGER, BULK, AT_ONCE, MANY, ROWS)
        for call in calls(tree)
        if writes(call, LEDGER_TABLES) or name_of(call.func) == "copy_in"
    ]
    assert others == []
    users = [
        path
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and name_of(node.value) in ("ledger_bulk", "ledger_at_once", "ledger_many")
        and node.attr.startswith("write")
    ]
    assert set(users) == {LEDGER}


def test_only_the_ledgers_part_for_numbers_writes_where_they_are() -> None:
    others = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        if path != "services/ranges.py"
        for call in calls(tree)
        if writes(call, {"NumberRange", "MovementRange"})
    ]
    assert others == []
    movers = [
        path
        for path, tree in modules().items()
        for call in calls(tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "move" and name_of(call.func.value) == "ranges"
    ]
    assert movers == [LEDGER]


def test_no_sql_text_writes_the_ledger() -> None:
    statement = re.compile(
        r"(insert\s+into|update|delete\s+from)\s+(movements|balances|daily_totals|number_ranges|movement_ranges)",
        re.IGNORECASE,
    )
    found = [path for path in modules() if statement.search((PACKAGE / path).read_text(encoding="utf-8"))]
    benches = ["bench/bare.py", "bench/projection/review.py", "bench/speed.py"]
    assert found == benches, "they fill a database that was empty, and refuse any other"


# --- refusals ----------------------------------------------------------------------------------------------------


def refusals() -> Iterator[tuple[str, str, set[str] | None]]:
    """(where, code, facts) of every refusal that the package can raise; facts are None where they are not literal."""
    for path, tree in modules().items():
        for call in calls(tree):
            where = f"{path}:{call.lineno}"
            if name_of(call.func) in REFUSAL_CLASSES and call.args:
                for code in codes_of(call.args[0], tree, where):
                    yield where, code, facts_of(call)
            elif name_of(call.func) == "BadRow" and isinstance(call.args[2], ast.Constant):
                yield where, str(call.args[2].value), None
            elif name_of(call.func) == "sentence_for" and isinstance(call.args[0], ast.Constant):
                yield where, str(call.args[0].value), None


def codes_of(node: ast.expr, tree: ast.Module, where: str) -> list[str]:
    """A literal code, or those that a function of the same module returns."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    assert isinstance(node, ast.Call), f"{where}: a refusal's code is not a literal"
    chooser = name_of(node.func)
    [function] = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.name == chooser]
    returned = [each.value for each in ast.walk(function) if isinstance(each, ast.Return)]
    assert all(isinstance(value, ast.Constant) for value in returned), f"{where}: {chooser} returns other than codes"
    return [str(value.value) for value in returned if isinstance(value, ast.Constant)]


def facts_of(call: ast.Call) -> set[str] | None:
    names = [keyword.arg for keyword in call.keywords]
    return None if None in names else {name for name in names if name}


def placeholders(sentence: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", sentence))


def test_every_refusal_has_a_sentence() -> None:
    silent = {code: where for where, code, _ in refusals() if code not in text.REFUSALS}
    assert silent == {}


def test_every_sentence_belongs_to_a_refusal_that_is_raised() -> None:
    assert set(text.REFUSALS) - {code for _, code, _ in refusals()} == set()


def test_every_refusal_carries_the_facts_that_its_sentence_shows(make_app: Callable[..., Flask]) -> None:
    with in_language(make_app, "en"):
        shown = {code: placeholders(str(sentence)) - {"example"} for code, sentence in text.REFUSALS.items()}
    lacking = [
        f"{where}: {code} lacks {sorted(shown[code] - facts)}"
        for where, code, facts in refusals()
        if facts is not None and not shown.get(code, set()) <= facts
    ]
    assert lacking == []


@contextmanager
def in_language(make_app: Callable[..., Flask], language: str) -> Iterator[None]:
    with make_app("sqlite:///:memory:").test_request_context(), force_locale(language):
        yield


def test_every_sentence_is_written_in_both_languages_with_the_same_facts(make_app: Callable[..., Flask]) -> None:
    with in_language(make_app, "en"):
        here = {code: str(sentence) for code, sentence in text.REFUSALS.items()}
    with in_language(make_app, "id"):
        there = {code: str(sentence) for code, sentence in text.REFUSALS.items()}
    assert [code for code in here if here[code] == there[code]] == []
    assert [code for code in here if placeholders(here[code]) != placeholders(there[code])] == []


@pytest.mark.parametrize("language", ["en", "id"])
def test_every_sentence_can_be_said_with_its_facts(make_app: Callable[..., Flask], language: str) -> None:
    with in_language(make_app, language):
        for code, sentence in text.REFUSALS.items():
            facts = dict.fromkeys(placeholders(str(sentence)), "x") | {"figure": "store"}
            said = text.sentence_for(code, facts)
            assert "%(" not in said, code
            assert "%%" not in said, code


# --- clock, length, layers ---------------------------------------------------------------------------------------


def reads_clock(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    owner, method = name_of(call.func.value), call.func.attr
    return (
        method == "utcnow"
        or (owner in ("datetime", "date") and method in ("now", "today", "fromtimestamp"))
        or (owner == "time" and method in ("time", "time_ns", "localtime", "gmtime"))
        or (owner == "func" and method in ("now", "current_date", "current_timestamp"))
    )


def test_the_clock_is_read_at_the_edges_only() -> None:
    reading = [
        f"{path}:{call.lineno}"
        for path, tree in modules().items()
        if not path.startswith(EDGES)
        for call in calls(tree)
        if reads_clock(call)
    ]
    assert reading == []


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path}:{node.name}": length
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert long == {}


def test_imports_keep_their_direction() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    found = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


# --- texts -------------------------------------------------------------------------------------------------------


def own_files() -> list[Path]:
    """What belongs to the project: all that git has or would take."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    found = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in found.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines_with(pattern: str) -> list[str]:
    expression = re.compile(pattern)
    found = []
    for file in own_files():
        try:
            content = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(ROOT)}:{number}"
            for number, line in enumerate(content.splitlines(), start=1)
            if expression.search(line)
        ]
    return found


def test_no_file_names_a_package_registry() -> None:
    hosts = ("pypi" + ".org", "registry.npmjs" + ".org", "files.pythonhosted" + ".org", "registry.yarnpkg" + ".com")
    assert lines_with("|".join(map(re.escape, hosts))) == []


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    assert lines_with(r"(?<![\w.~-])/(work|root)/") == []


def test_the_readme_names_every_setting() -> None:
    readme = ROOT / "README.md"
    if not readme.exists():
        pytest.skip("there is no README.md yet")
    words = readme.read_text(encoding="utf-8")
    variables = [setting.metadata["variable"] for setting in Config.__dataclass_fields__.values()]
    assert [variable for variable in variables if not re.search(rf"\b{variable}\b", words)] == []


TEST_NAMED = re.compile(r"([A-Za-z0-9_/.\-]*\.py)::(\w*)")


def test_the_readme_names_tests_that_exist() -> None:
    """Each `file::test` in README.md is a file below tests/ that defines that function. The section on security says by
    these names what is shown: one that is gone shows nothing."""
    named = sorted(set(TEST_NAMED.findall((ROOT / "README.md").read_text(encoding="utf-8"))))
    assert named
    gone = []
    for path, name in named:
        file = ROOT / "tests" / path
        defined = file.is_file() and re.search(
            rf"^\s*(async )?def {re.escape(name)}\(", file.read_text(encoding="utf-8"), re.MULTILINE
        )
        if not defined:
            gone.append(f"{path}::{name}")
    assert gone == []
