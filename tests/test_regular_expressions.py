"""No text that people send makes a regular expression work longer than its length."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from re import _constants as op  # pyright: ignore[reportAttributeAccessIssue]
from re import _parser as parser  # pyright: ignore[reportAttributeAccessIssue]
from typing import Any

import pytest

import inventory
from inventory.adapters import spreadsheets
from inventory.api import bodies
from inventory.api.problems import Problem
from inventory.domain import coverage, imports, notices, quantities, ranges
from inventory.domain.errors import Refusal
from inventory.domain.notices import ChannelKind

LENGTH = 50_000
SECONDS = 1.0
"""Far more than something linear takes, far less than a square of LENGTH."""
ROOT = Path(inventory.__file__).parent
ELSEWHERE = ("bench", "config.py")
"""What reads figures of its own, or the settings of whoever installs."""


def patterns() -> Iterator[tuple[str, str, Any]]:
    """Where, how and which: every pattern in the code, those of path converters included."""
    for file in sorted(ROOT.rglob("*.py")):
        path = file.relative_to(ROOT).as_posix()
        if path.startswith(ELSEWHERE):
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and [getattr(each, "id", "") for each in node.targets] == ["regex"]:
                yield path, "fullmatch", ast.literal_eval(node.value)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and is_constant(node):
                yield path, node.func.attr, node.args[0].value  # pyright: ignore[reportAttributeAccessIssue]


def is_constant(call: ast.Call) -> bool:
    """Whether something of `re` is called with a pattern that stands there as it is."""
    of = getattr(getattr(call.func, "value", None), "id", "")
    return of == "re" and bool(call.args) and isinstance(call.args[0], ast.Constant)


FOUND = sorted(set(patterns()))


def repeats(parsed: Any, inside: bool = False) -> Iterator[str]:
    """Repeats without an end inside of repeats without an end: what backtracks without an end."""
    for code, argument in parsed:
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            _least, most, what = argument
            endless = most == op.MAXREPEAT
            if endless and inside:
                yield str(code)
            yield from repeats(what, inside or endless)
        elif code is op.SUBPATTERN:
            yield from repeats(argument[-1], inside)
        elif code is op.BRANCH:
            for branch in argument[1]:
                yield from repeats(branch, inside)


def test_there_are_patterns_to_look_at() -> None:
    assert len(FOUND) > 20


@pytest.mark.parametrize(("path", "how", "pattern"), FOUND, ids=[f"{path}:{pattern}" for path, _, pattern in FOUND])
def test_no_endless_repeat_stands_inside_of_another(path: str, how: str, pattern: Any) -> None:
    assert list(repeats(parser.parse(pattern))) == []


def test_the_search_for_nested_repeats_finds_them() -> None:
    assert list(repeats(parser.parse(r"(a+)+b")))
    assert list(repeats(parser.parse(r"(?:x|(?:[a-z]*,)*)+!")))
    assert not list(repeats(parser.parse(r"[a-z]+-[0-9]*(x{1,3}y)?")))


HOSTILE = [
    *(sign * LENGTH for sign in ' aA0.-/_[]"\\:;,@{}–\u3000٣'),
    *(pair * (LENGTH // 2) for pair in ("a ", "0.", "A1", "- ", "1,", "[]", '""', "\\\\", "1/", " S", '\\"')),
    '"' + '\\"' * (LENGTH // 2),
    "https://" + "a" * LENGTH,
    "https://a/" + " " * LENGTH,
    "A1" + " " * LENGTH + "A2",
    "-" * LENGTH + "1",
    "0" * LENGTH + "x",
]


@pytest.mark.parametrize(("path", "how", "pattern"), FOUND, ids=[f"{path}:{pattern}" for path, _, pattern in FOUND])
def test_a_whole_match_takes_no_longer_than_its_text(path: str, how: str, pattern: Any) -> None:
    compiled: Any = re.compile(pattern, re.ASCII if isinstance(pattern, str) else 0)
    for text in HOSTILE:
        for ending in ("", "\x00", "!"):
            whole: Any = text + ending if isinstance(pattern, str) else (text + ending).encode()
            began = time.thread_time()
            compiled.fullmatch(whole)
            assert time.thread_time() - began < SECONDS, (text[:10], ending)


READERS = {
    "number ranges": ranges.parse_ranges,
    "a number": ranges.parse_number,
    "a quantity": lambda text: quantities.parse_quantity(text, "."),
    "a webhook": lambda text: notices.check_target(ChannelKind.WEBHOOK, text, ["slack"], private=False),
    "a chat": lambda text: notices.check_target(ChannelKind.TELEGRAM, text, ["slack"], private=False),
    "a service": lambda text: notices.check_target(ChannelKind.OTHER, text, ["slack"], private=False),
    "a link": lambda text: notices.channel_of("secret", text),
    "a body of JSON": lambda text: bodies._check_depth(text.encode()),
    "a number format": lambda text: spreadsheets._is_date("170", text),
}


@pytest.mark.parametrize("reader", READERS)
def test_what_reads_texts_takes_no_longer_than_their_length(reader: str) -> None:
    for text in HOSTILE:
        began = time.thread_time()
        with suppress(Refusal, Problem):
            READERS[reader](text)
        assert time.thread_time() - began < SECONDS, text[:10]


def test_headings_are_read_in_the_time_of_their_length() -> None:
    """Of files and of what reports call their columns: a run of spaces is one."""
    for module in (imports, coverage):
        code = Path(str(module.__file__)).read_text(encoding="utf-8")
        assert r"[\s_\-]+" in code
    for text in HOSTILE:
        began = time.thread_time()
        re.sub(r"[\s_\-]+", " ", text.strip())
        assert time.thread_time() - began < SECONDS
