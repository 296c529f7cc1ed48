"""What this installation is made of, and whether any of it is known to be bad.

    python .ci/audit.py [--sbom FILE] [--offline]

Asks an advisory service for every pinned version, through pip-audit, when one can be reached; says loudly when not. In
either case checks what can be checked without a network: that what is installed is what is pinned, under a licence
that is allowed, in no version that `.ci/advisories.json` lists, and that the vendored scripts and styles are, byte for
byte, those that `inventory/static/vendor/README.md` names. Writes a bill of materials (CycloneDX) of all of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / ".ci" / "constraints.txt"
ADVISORIES = ROOT / ".ci" / "advisories.json"
VENDOR = ROOT / "inventory" / "static" / "vendor"
SECONDS = 20
"""For the advisory service: a check that hangs is no check."""
NOT_ASKED = "*** NO ADVISORY SERVICE ANSWERED: only what is known offline was checked. ***"
OURSELVES = "blangko"
UNPINNED = {OURSELVES, "pip", "setuptools", "wheel"}
"""Ourselves, and what the interpreter's own environment brings along."""
ALLOWED = (
    *("MIT", "BSD", "0BSD", "Apache", "ISC", "PSF", "Python Software Foundation", "Python-2.0", "Zlib", "Unlicense"),
    *("MPL", "Mozilla Public License", "LGPL", "GNU Lesser General Public License", "CC0", "ZPL", "HPND"),
    *("Public Domain", "BlueOak"),
)
"""Licences, by how their names begin or what is in them, under which an authority can use and pass on what it runs."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sbom", type=Path, help="where to write the bill of materials")
    parser.add_argument("--offline", action="store_true", help="do not ask an advisory service")
    asked = parser.parse_args()
    faults = [*unpinned(), *wrong_licences(), *listed_as_bad(), *changed_assets()]
    if not asked.offline:
        faults += ask_the_service()
    if asked.sbom:
        write_bill(asked.sbom)
        print(f"bill of materials: {asked.sbom}")
    for fault in faults:
        print(f"AUDIT: {fault}", file=sys.stderr)
    print(f"{len(list(installed()))} distributions and {len(list(vendored()))} vendored files looked at.")
    return 1 if faults else 0


# --- what is installed ---------------------------------------------------------------------------------------------


def installed() -> Iterator[Distribution]:
    """What this program needs, and what that needs, development tools included: others may share the environment."""
    known = {canonicalize_name(found.metadata["Name"]): found for found in distributions() if found.metadata["Name"]}
    waiting, seen = roots(), set[tuple[str, str]]()
    shown = set[str]()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or name not in known:
            continue
        seen.add((name, extra))
        if name not in shown:
            shown.add(name)
            yield known[name]
        waiting += [*needed_by(known[name], extra)]


def needed_by(found: Distribution, extra: str) -> Iterator[tuple[str, str]]:
    for line in found.requires or ():
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            name = canonicalize_name(wanted.name)
            yield from [(name, each) for each in ("", *wanted.extras)]


def roots() -> list[tuple[str, str]]:
    """What the project itself asks for: names with each of their extras."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    wanted = [Requirement(line) for line in asked]
    return [(canonicalize_name(each.name), extra) for each in wanted for extra in ("", *each.extras)]


def pinned() -> dict[str, str]:
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonicalize_name(name.strip()): version.strip() for name, _, version in pairs}


def unpinned() -> Iterator[str]:
    """What is installed in another version than the tests ran with, or in any."""
    versions = pinned()
    for found in installed():
        name = canonicalize_name(found.metadata["Name"])
        if name in UNPINNED:
            continue
        if name not in versions:
            yield f"{name} {found.version} is not in {CONSTRAINTS.name}"
        elif versions[name] != found.version:
            yield f"{name} is {found.version}, and {versions[name]} in {CONSTRAINTS.name}"


def licence_of(found: Distribution) -> str:
    said = found.metadata
    classifiers = [each.rpartition(" :: ")[2] for each in said.get_all("Classifier") or [] if "License ::" in each]
    named = said.get("License-Expression") or "; ".join(classifiers) or (said.get("License") or "").split("\n")[0]
    return named or first_line_of_licence(found)


def first_line_of_licence(found: Distribution) -> str:
    """For those that only bring the text along."""
    for file in found.files or ():
        if "licen" in file.name.lower() and "dist-info" in str(file):
            return file.read_text(encoding="utf-8").strip().split("\n")[0]
    return ""


def wrong_licences() -> Iterator[str]:
    for found in installed():
        licence = licence_of(found)
        if found.metadata["Name"] != OURSELVES and not _ALLOWED.search(licence):
            yield f"{found.metadata['Name']} is under {licence!r}"


_ALLOWED = re.compile(
    r"(?<![^\W\d_])(?:" + "|".join(re.escape(each) for each in ALLOWED) + r")(?:v[\d.]+\+?)?(?![^\W\d_])", re.IGNORECASE
)
"""A whole word each: no permission is a licence of MIT."""


def listed_as_bad() -> Iterator[str]:
    """Versions of which the project itself knows that they must not be used, wherever no service can be asked."""
    for entry in json.loads(ADVISORIES.read_text(encoding="utf-8")):
        for found in installed():
            same = canonicalize_name(found.metadata["Name"]) == canonicalize_name(entry["name"])
            if same and SpecifierSet(entry["versions"]).contains(found.version, prereleases=True):
                yield f"{entry['name']} {found.version}: {entry['id']}, {entry['what']} ({entry['source']})"


def ask_the_service() -> list[str]:
    """Known vulnerabilities of what is pinned; nothing, but a loud word, when nobody answers."""
    command = [sys.executable, "-m", "pip_audit", "-r", str(CONSTRAINTS), "--no-deps", "--disable-pip", "-f", "json"]
    command += ["--progress-spinner", "off", "--timeout", "5"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
        found = json.loads(told.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        print(NOT_ASKED, file=sys.stderr)
        return []
    unknown = [each["name"] for each in found["dependencies"] if "skip_reason" in each]
    if unknown:
        # A mirror without advisories answers as well: that it knows of nothing says nothing.
        print(f"{NOT_ASKED} {len(unknown)} of {len(found['dependencies'])} are not known to it.", file=sys.stderr)
    return [
        f"{each['name']} {each['version']}: {problem['id']}, mended in {', '.join(problem['fix_versions']) or 'none'}"
        for each in found["dependencies"]
        for problem in each.get("vulns", ())
    ]


# --- what is vendored ----------------------------------------------------------------------------------------------


def vendored() -> Iterator[tuple[Path, str]]:
    """Each vendored file with the SHA-256 that its README states; empty where it states none."""
    said = dict(re.findall(r"\| `([\w./-]+)` \| `([0-9a-f]{64})` \|", (VENDOR / "README.md").read_text("utf-8")))
    for file in sorted(VENDOR.rglob("*")):
        if file.is_file() and not file.name.startswith(("README", "LICENSE")):
            yield file, said.get(file.relative_to(VENDOR).as_posix(), "")


def changed_assets() -> Iterator[str]:
    for file, digest in vendored():
        if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            yield f"{file.relative_to(ROOT)} is not what {VENDOR.name}/README.md says"


def packages() -> Iterator[tuple[str, str, str, str]]:
    """Of each vendored package its folder, its name, its version and its licence, from the same README."""
    row = r"\| `(\w+)` \| .*? \| ([0-9.]+) \| npm package `([^`]+)` \| ([\w .]+),"
    for folder, version, name, licence in re.findall(row, (VENDOR / "README.md").read_text("utf-8")):
        yield folder, name, version, licence


# --- the bill of materials -----------------------------------------------------------------------------------------


def write_bill(path: Path) -> None:
    """CycloneDX 1.6 in JSON: the environment's distributions, and the vendored packages with their files' digests."""
    command = [sys.executable, "-m", "cyclonedx_py", "environment", sys.executable, "--output-reproducible"]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--sv", "1.6", "-o", str(path), "--no-validate"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603
    bill: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    bill["components"] += [_component(*each) for each in packages()]
    path.write_text(json.dumps(bill, indent=1, sort_keys=True), encoding="utf-8")


def _component(folder: str, name: str, version: str, licence: str) -> dict[str, Any]:
    files = [file for file, _ in vendored() if file.relative_to(VENDOR).parts[0] == folder]
    return {
        "type": "library",
        "bom-ref": f"vendored-{folder}",
        "name": name,
        "version": version,
        "purl": f"pkg:npm/{name.replace('@', '%40')}@{version}",
        "licenses": [{"license": {"name": licence.strip()}}],
        "components": [
            {
                "type": "file",
                "bom-ref": f"vendored-{file.relative_to(VENDOR).as_posix()}",
                "name": file.relative_to(VENDOR).as_posix(),
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(file.read_bytes()).hexdigest()}],
            }
            for file in files
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
