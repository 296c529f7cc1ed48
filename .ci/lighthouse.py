"""Lighthouse's four scores of five main pages of the demonstration, logged in as who uses each.

    .venv/bin/python .ci/lighthouse.py [PATH-TO-LIGHTHOUSE]

Lighthouse is an npm package (`npm install lighthouse`), Chromium a package of the system. Prints a table and exits with
1 when a score is below 95. The pages are served by the embedded server on loopback, without HTTPS.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from inventory.bench.pages import demonstration
from inventory.services.demo import ACCOUNTS, PASSWORD

LEAST = 95
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
STOREKEEPER, MANAGER, REGION = ACCOUNTS[0][0], ACCOUNTS[2][0], ACCOUNTS[3][0]
PAGES = {
    "/login": None,
    "/": STOREKEEPER,
    "/offices/51.71/stock-card/ktp-wni": STOREKEEPER,
    "/alerts": MANAGER,
    "/offices/51/balances": REGION,
}


def main() -> int:
    lighthouse = sys.argv[1] if len(sys.argv) > 1 else shutil.which("lighthouse")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if lighthouse is None or chromium is None:
        print("Lighthouse or Chromium is missing.", file=sys.stderr)
        return 2
    print(f"{'page':<36}" + "".join(f"{name:>16}" for name in CATEGORIES))
    least = 100
    with demonstration() as address:
        for path, account in PAGES.items():
            found = scores(lighthouse, chromium, address, path, cookie(chromium, address, account) if account else "")
            print(f"{path:<36}" + "".join(f"{score:>16}" for score in found), flush=True)
            least = min(least, *found)
    return 0 if least >= LEAST else 1


def cookie(chromium: str, address: str, account: str) -> str:
    """The header of a session of this account."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(base_url=address, service_workers="block")
        page = context.new_page()
        page.goto("/login")
        page.fill("input[name=email]", account)
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_selector("footer")
        cookies = context.cookies()
        browser.close()
    return "; ".join(f"{each['name']}={each['value']}" for each in cookies)


def scores(lighthouse: str, chromium: str, address: str, path: str, cookies: str) -> list[int]:
    """From 0 to 100, in the order of CATEGORIES; what falls short is told on standard error."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            *(lighthouse, f"{address}{path}", "--quiet", "--output=json", f"--output-path={report}"),
            f"--only-categories={','.join(CATEGORIES)}",
            "--chrome-flags=--headless --no-sandbox --disable-gpu --disable-background-networking",
            *([f"--extra-headers={json.dumps({'Cookie': cookies})}"] if cookies else []),
        ]
        environment = os.environ | {"CHROME_PATH": chromium}
        subprocess.run(command, env=environment, check=True, capture_output=True)  # noqa: S603  (the command is ours)
        found = json.loads(report.read_text(encoding="utf-8"))
    for audit in found["audits"].values():
        if audit["score"] is not None and audit["score"] < 0.9 and audit["scoreDisplayMode"] in ("binary", "numeric"):
            print(f"  {path}: {audit['title']} {audit.get('displayValue', '')}", file=sys.stderr)
    return [round(100 * found["categories"][name]["score"]) for name in CATEGORIES]


if __name__ == "__main__":
    sys.exit(main())
