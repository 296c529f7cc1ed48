"""Every text a reader can meet is there in Indonesian and in English, and says the same facts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from html.parser import HTMLParser
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_babel import force_locale, get_domain
from jinja2 import Environment

from inventory import text
from inventory.domain.errors import Refusal

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("id", "en")


def _load_tool() -> Any:
    spec = spec_from_file_location("translations", ROOT / ".ci" / "translations.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = _load_tool()
each_domain = pytest.mark.parametrize("domain", tool.DOMAINS)
in_both_languages = pytest.mark.parametrize("language", LANGUAGES)


@pytest.fixture
def app(lasting_app: Any, tmp_path: Path) -> Flask:
    """Texts need no database."""
    return lasting_app(f"sqlite:///{tmp_path / 'empty.sqlite3'}")


@cache
def used(domain: str) -> Any:
    return tool.collect(domain)


@cache
def kept(domain: str) -> Any:
    return tool.read(domain)


def texts(catalogue: Any) -> list[Any]:
    return [message for message in catalogue if message.id]


def english(message: Any) -> str:
    """The text; of a singular and a plural, the plural, since it names every fact."""
    return message.id if isinstance(message.id, str) else message.id[1]


def indonesian(message: Any) -> str:
    return message.string if isinstance(message.id, str) else message.string[0]


# The catalogues


@each_domain
def test_every_text_has_its_indonesian(domain: str) -> None:
    missing = []
    for message in texts(used(domain)):
        found = kept(domain).get(message.id, message.context)
        if found is None or found.fuzzy or not indonesian(found):
            missing.append(message.id)
    assert not missing, "run .ci/translations.py update, translate these and compile"


def test_no_text_of_ours_is_left_over() -> None:
    in_use = {(message.id, message.context) for message in texts(used("messages"))}
    left_over = [m.id for m in texts(kept("messages")) if (m.id, m.context) not in in_use]
    assert not left_over, "run .ci/translations.py update and compile"


@each_domain
def test_both_languages_name_the_same_facts(domain: str) -> None:
    differing = {
        english(message): indonesian(message)
        for message in texts(kept(domain))
        if marks(english(message)) != marks(indonesian(message))
    }
    assert not differing


def marks(sentence: str) -> dict[str, Any]:
    """What a translation has to keep: placeholders and HTML tags."""
    return {
        "named": set(re.findall(r"%\((\w+)\)", sentence)),
        "in order": re.findall(r"(?<!%)%[sd]", sentence),
        "braces": set(re.findall(r"{\w*}", sentence)),
        "tags": sorted(re.findall(r"<[^>]+>", sentence)),
    }


@each_domain
def test_both_languages_can_be_filled_in(domain: str) -> None:
    broken = []
    for message in texts(kept(domain)):
        # Templates fill in every text that they show, so a lone percent sign breaks there as well.
        in_template = any(place.endswith(".html") for place, _line in message.locations)
        if in_template or "%(" in english(message):
            broken += [each for each in (english(message), indonesian(message)) if not fills(each)]
    assert not broken


def fills(sentence: str) -> bool:
    facts: Any = dict.fromkeys(re.findall(r"%\((\w+)\)", sentence), 7)
    if not facts:
        facts = (7,) * len(re.findall(r"(?<!%)%[sd]", sentence))
    try:
        return "%(" not in sentence % facts
    except (TypeError, ValueError):
        return False


@each_domain
def test_the_compiled_catalogue_is_up_to_date(domain: str) -> None:
    compiled = (tool.FOLDER / f"{domain}.mo").read_bytes()
    assert compiled == tool.mo_bytes(tool.read(domain)), "run .ci/translations.py compile"


@each_domain
def test_the_catalogue_is_written_as_the_tool_writes_it(domain: str) -> None:
    written = (tool.FOLDER / f"{domain}.po").read_bytes()
    assert written == tool.po_bytes(tool.read(domain)), "run .ci/translations.py update"


# The application shows them


@each_domain
def test_indonesian_is_shown(app: Flask, domain: str) -> None:
    with app.app_context(), force_locale("id"):
        shown = domain_of(app, domain).get_translations()
        for message in texts(kept(domain)):
            assert translate(shown, message) == indonesian(message)


@each_domain
def test_english_is_shown_when_asked_for(app: Flask, domain: str) -> None:
    with app.app_context(), force_locale("en"):
        shown = domain_of(app, domain).get_translations()
        for message in texts(kept(domain)):
            assert translate(shown, message) == english(message)


def domain_of(app: Flask, domain: str) -> Any:
    if domain == "messages":
        return get_domain()
    return text.wtforms_texts if domain == "wtforms" else app.extensions["security"].i18n_domain


def translate(shown: Any, message: Any) -> str:
    if message.context:
        return shown.upgettext(message.context, message.id)
    if isinstance(message.id, str):
        return shown.ugettext(message.id)
    return shown.ungettext(*message.id, 2)


@pytest.mark.parametrize(("language", "expected"), [("id", "paling banyak 3"), ("en", "longer than 3")])
def test_messages_of_form_libraries_are_in_the_language_of_the_page(app: Flask, language: str, expected: str) -> None:
    from wtforms import StringField
    from wtforms.validators import Length

    from inventory.web.forms import BaseForm

    class Form(BaseForm):
        word = StringField(validators=[Length(max=3)])

    with app.test_request_context(method="POST", data={"word": "blangko"}), force_locale(language):
        form = Form(meta={"csrf": False})
        assert not form.validate()
        assert expected in form.word.errors[0]


# Refusals


def test_a_constant_in_a_template_is_written_as_each_reader_writes_it(app: Flask) -> None:
    page = app.jinja_env.from_string("{{ 1639|number }} {{ 0.5|percent }} {{ 2.5|decimals }}")
    with app.test_request_context():
        for language, expected in (("en", "1,639 50 % 2.5"), ("id", "1.639 50 % 2,5")):
            with force_locale(language):
                assert page.render() == expected


@dataclass(frozen=True)
class RaiseSite:
    place: str
    codes: frozenset[str]
    facts: frozenset[str]


@in_both_languages
@pytest.mark.parametrize("code", text.REFUSALS)
def test_every_refusal_reads_as_a_sentence(app: Flask, code: str, language: str) -> None:
    with app.app_context(), force_locale(language):
        facts = {name: plausible(name) for name in marks(str(text.REFUSALS[code]))["named"]}
        sentence = text.sentence_for(code, facts)
    assert "%(" not in sentence
    assert sentence.endswith((".", "?"))


def plausible(name: str) -> object:
    if name in {"day", "today", "first"} or name.endswith("_on"):
        return date(2024, 5, 15)
    return {"figure": "store", "reason": "new"}.get(name, 1639)


def test_every_refusal_carries_the_facts_of_its_sentence() -> None:
    wanting = [
        f"{site.place}: {code} needs {sorted(absent)}"
        for site in raise_sites()
        for code in sorted(site.codes)
        if (absent := marks(sentence_of(code))["named"] - site.facts - {"example"})
    ]
    assert not wanting


def test_every_refusal_has_a_sentence() -> None:
    unknown = [f"{site.place}: {code}" for site in raise_sites() for code in site.codes - set(text.REFUSALS)]
    assert not unknown


def sentence_of(code: str) -> str:
    return str(text.REFUSALS.get(code, ""))


@cache
def raise_sites() -> list[RaiseSite]:
    """Where the code refuses: the codes that it may give there, and the names of the facts."""
    names = {"Refusal"} | {each.__name__ for each in Refusal.__subclasses__()}
    sites = []
    for file in sorted((ROOT / "inventory").rglob("*.py")):
        tree = ast.parse(file.read_text())
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and called(call) in names and call.args:
                place = f"{file.relative_to(ROOT)}:{call.lineno}"
                facts = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
                sites.append(RaiseSite(place, frozenset(codes(call.args[0], tree, place)), facts))
    return sites


def called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def codes(argument: ast.expr, tree: ast.Module, place: str) -> set[str]:
    """The codes that an argument can be: written there, or returned by a function of the same file."""
    if isinstance(argument, ast.Call):
        found = {
            node.value.value
            for function in tree.body
            if isinstance(function, ast.FunctionDef) and function.name == called(argument)
            for node in ast.walk(function)
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant)
        }
    else:
        found = {node.value for node in ast.walk(argument) if isinstance(node, ast.Constant)}
    assert found, f"{place}: write the code where it is raised"
    return {str(code) for code in found}


# Templates

PROPER_NAMES = {"Blangko", "BAST", "KTP", "KIA", "APBN", "APBD"}
SPOKEN_ATTRIBUTES = {
    "title",
    "alt",
    "label",
    "placeholder",
    "aria-label",
    "aria-description",
    "aria-placeholder",
    "aria-roledescription",
    "aria-valuetext",
    "hx-confirm",
    "hx-prompt",
}
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_template_shows_no_text_without_translation(template: Path) -> None:
    reader = VisibleText()
    reader.feed("".join(without_jinja(template.read_text())))
    reader.close()
    assert not reader.found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p>Stock</p>", ["1: Stock"]),
        ("\n<p title='Stock {{ n }}'>{{ n }} %</p>", ["2: Stock"]),
        ("<p>{{ _('Stock') }} BAST {% if n > 1 %}×{% endif %}</p>", []),
        ("{# Stock #}<p {% if n %}hidden{% endif %} class='stock {{ n }}'>", []),
        ("{% trans n=n %}Stock {{ n }}{% endtrans %}", []),
        ("{% trans %}Stock{% endtrans %} left", ["1: left"]),
        ("<input type='submit' value='Save'><input value='code'>", ["1: Save"]),
    ],
)
def test_the_reader_of_templates_sees_what_a_person_sees(source: str, expected: list[str]) -> None:
    reader = VisibleText()
    reader.feed("".join(without_jinja(source)))
    reader.close()
    assert reader.found == expected


def without_jinja(source: str) -> Iterator[str]:
    """The HTML around blocks, expressions and comments, line by line where it was."""
    translated, before = False, ""
    for _line, kind, value in Environment(autoescape=True).lex(source):
        if kind == "name" and before == "block_begin":
            translated = value == "trans" or (translated and value != "endtrans")
        if kind != "whitespace":
            before = kind
        yield value if kind == "data" and not translated else "\n" * value.count("\n")


class VisibleText(HTMLParser):
    """Collects words that a reader sees or hears."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self._check(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_button = tag == "input" and dict(attrs).get("type") in {"submit", "button", "reset"}
        for name, value in attrs:
            if name in SPOKEN_ATTRIBUTES or (is_button and name == "value"):
                self._check(value or "")

    def _check(self, words: str) -> None:
        bare = [word for word in re.findall(r"[^\W\d_]{2,}", words) if word not in PROPER_NAMES]
        if bare:
            self.found.append(f"{self.getpos()[0]}: {' '.join(bare)}")
