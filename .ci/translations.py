"""Keep the Indonesian catalogues in step with the texts in the code.

    python .ci/translations.py update    collect the English texts and merge them into the .po files
    python .ci/translations.py compile   write the .mo files that the application reads

English needs no catalogue: the texts in the code are English. Both commands write the same bytes for the same
input, so that a change of one text is a change of one entry.
"""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from jinja2.ext import babel_extract

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "inventory" / "translations" / "id" / "LC_MESSAGES"
DOMAINS = ("messages", "wtforms", "flask_security")

PLURAL, CONTEXT = (1, 2), ((1, "c"), 2)
OWN = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": PLURAL,
    "lazy_ngettext": PLURAL,
    "pgettext": CONTEXT,
    "lazy_pgettext": CONTEXT,
}
# Flask-WTF raises what is wrong with a form's token without marking it as text.
FORMS = {"gettext": None, "ngettext": PLURAL, "ValidationError": None}
ACCOUNTS = {"_": None, "_fsdomain": None}
OWN_ACCOUNTS = {"_fsdomain": None}


class Plain(Catalog):
    """A catalogue of a language without plural forms, whose header holds no dates, names and versions."""

    num_plurals = 1
    plural_expr = "0"

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [
            ("Language", "id"),
            ("Plural-Forms", self.plural_forms),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit\n"),
        ]

    @mime_headers.setter
    def mime_headers(self, headers: object) -> None:
        pass


def empty(domain: str) -> Plain:
    return Plain(locale="id", domain=domain, fuzzy=False, header_comment=f"# Indonesian: {domain}")


def read(domain: str) -> Plain:
    """The catalogue as it stands in its .po file."""
    catalogue = empty(domain)
    file = FOLDER / f"{domain}.po"
    if file.exists():
        with file.open("rb") as stream:
            for message in read_po(stream, locale="id"):
                if message.id:
                    catalogue[message.id] = message
    return catalogue


def collect(domain: str) -> Plain:
    """Every English text of a domain, from the code that shows it."""
    catalogue = empty(domain)
    if domain == "messages":
        _add(catalogue, ROOT / "inventory", OWN)
        _add(catalogue, ROOT / "templates", OWN)
    elif domain == "wtforms":
        _add(catalogue, _package("wtforms"), FORMS)
        _add(catalogue, _package("flask_wtf"), FORMS)
    else:
        _add(catalogue, _package("flask_security"), ACCOUNTS)
        _add(catalogue, ROOT / "templates", OWN_ACCOUNTS)
    return catalogue


def merged(domain: str) -> Plain:
    """The catalogue with new texts added and, among our own, those that are gone left out.

    Texts of the libraries stay when the installed version no longer has them: another that we allow may.
    """
    catalogue, texts = read(domain), collect(domain)
    old = {(message.id, message.context): message for message in catalogue if message.id}
    catalogue.update(texts, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    if domain != "messages":
        for message in old.values():
            if catalogue.get(message.id, message.context) is None:
                catalogue[message.id] = message
    return catalogue


def po_bytes(catalogue: Catalog) -> bytes:
    stream = BytesIO()
    write_po(stream, catalogue, width=110, sort_output=True, ignore_obsolete=True, include_lineno=False)
    return stream.getvalue().rstrip() + b"\n"


def mo_bytes(catalogue: Catalog) -> bytes:
    stream = BytesIO()
    write_mo(stream, catalogue)
    return stream.getvalue()


def _add(catalogue: Catalog, folder: Path, keywords: dict) -> None:
    for file in sorted(folder.rglob("*")):
        if file.suffix not in {".py", ".html", ".txt"}:
            continue
        method = "python" if file.suffix == ".py" else babel_extract
        name = file.relative_to(folder.parent).as_posix()
        with file.open("rb") as stream:
            found = extract(method, stream, keywords, (), {"silent": "false", "encoding": "utf-8"})
            for line, text, _comments, context in found:
                if text:
                    catalogue.add(text, locations=[(name, line)], context=context)


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name)
    return Path(spec.origin).parent


def update() -> None:
    for domain in DOMAINS:
        catalogue = merged(domain)
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{domain}.po").write_bytes(po_bytes(catalogue))
        missing = sum(1 for message in catalogue if message.id and not _translated(message.string))
        print(f"{domain}: {len(catalogue)} texts, {missing} without Indonesian")


def _translated(string: str | tuple[str, ...] | None) -> bool:
    return bool(string) and all((string,) if isinstance(string, str) else string)


def compile_() -> None:
    for domain in DOMAINS:
        (FOLDER / f"{domain}.mo").write_bytes(mo_bytes(read(domain)))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("command", choices=["update", "compile"])
    {"update": update, "compile": compile_}[parser.parse_args(arguments).command]()


if __name__ == "__main__":
    main(sys.argv[1:])
