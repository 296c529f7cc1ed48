"""What the program is made of: everything pinned, licensed, unchanged, and on the bill of materials."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"


@pytest.fixture
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_of_it_is_known_and_on_the_bill_of_materials(audit: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    told = subprocess.run(
        [sys.executable, str(SCRIPT), "--offline", "--sbom", str(file)], capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    bill = json.loads(file.read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {(audit.canonicalize_name(each["name"]), each["version"]) for each in bill["components"]}
    names = {audit.canonicalize_name(found.metadata["Name"]): found.version for found in audit.installed()}
    assert {each for each in names.items() if each[0] != "blangko"} <= listed
    assert {"flask", "sqlalchemy", "werkzeug", "argon2-cffi", "psycopg-binary"} <= set(names)
    vendored = {each["name"]: each for each in bill["components"] if each["bom-ref"].startswith("vendored-")}
    assert set(vendored) == {"@picocss/pico", "@zxing/library", "uplot", "htmx.org"}
    files = {file["name"] for each in vendored.values() for file in each["components"]}
    assert files == {file.relative_to(audit.VENDOR).as_posix() for file, _digest in audit.vendored()}


def test_a_version_that_is_not_the_pinned_one_is_named(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(audit.unpinned()) == []
    versions = audit.pinned()
    monkeypatch.setattr(audit, "pinned", lambda: {**versions, "flask": "0.1"} | {})
    assert [fault for fault in audit.unpinned() if "flask is" in fault]
    monkeypatch.setattr(audit, "pinned", lambda: {k: v for k, v in versions.items() if k != "werkzeug"})
    assert [fault for fault in audit.unpinned() if fault.startswith("werkzeug") and "not in" in fault]


def test_a_licence_that_is_not_allowed_is_named(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(audit.wrong_licences()) == []
    for wrong in ("Proprietary", "Permitted to nobody", "Disclaimer", "GNU Affero GPL"):
        monkeypatch.setattr(audit, "licence_of", lambda _found, wrong=wrong: wrong)
        assert len(list(audit.wrong_licences())) > 100, wrong
    monkeypatch.setattr(audit, "licence_of", lambda _found: "LGPLv3+")
    assert list(audit.wrong_licences()) == []


def test_a_version_that_is_known_to_be_bad_is_named(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert list(audit.listed_as_bad()) == []
    entry = {"id": "X-1", "name": "Flask", "versions": ">=1,<99", "what": "a test", "source": "this test"}
    file = tmp_path / "advisories.json"
    file.write_text(json.dumps([entry, entry | {"versions": "<1"}]))
    monkeypatch.setattr(audit, "ADVISORIES", file)
    assert [fault[:5] for fault in audit.listed_as_bad()] == ["Flask"]


def test_a_vendored_file_that_was_changed_is_named(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert list(audit.changed_assets()) == []
    (tmp_path / "htmx").mkdir()
    (tmp_path / "README.md").write_text((audit.VENDOR / "README.md").read_text(encoding="utf-8"))
    (tmp_path / "htmx" / "htmx.min.js").write_bytes((audit.VENDOR / "htmx" / "htmx.min.js").read_bytes() + b" ")
    (tmp_path / "new.js").write_text("alert(1)")
    (tmp_path / "new.wasm").write_text("anything")
    monkeypatch.setattr(audit, "VENDOR", tmp_path)
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    assert [fault.split()[0] for fault in audit.changed_assets()] == ["htmx/htmx.min.js", "new.js", "new.wasm"]


@pytest.mark.parametrize("output", ["", "no JSON", '{"dependencies": [{"name": "flask", "skip_reason": "?"}]}'])
def test_a_service_that_does_not_answer_is_no_clean_bill(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    def answer(*_: Any, **__: Any) -> Any:
        return subprocess.CompletedProcess([], 0, stdout=output)

    monkeypatch.setattr(audit.subprocess, "run", answer)
    assert audit.ask_the_service() == []
    assert "NO ADVISORY SERVICE" in capsys.readouterr().err


def test_what_a_service_knows_is_named(audit: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"name": "flask", "version": "3.1.3", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.4"]}]}
    output = json.dumps({"dependencies": [found, {"name": "werkzeug", "version": "3.1.9", "vulns": []}]})
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, stdout=output))
    assert audit.ask_the_service() == ["flask 3.1.3: PYSEC-1, mended in 3.1.4"]
