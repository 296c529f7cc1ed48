"""The README's pictures, taken anew from the demonstration.

    .venv/bin/python .ci/screenshots.py

Needs the extra `dev` and Chromium. Each is written to `.docs/`, with the colours reduced to 64 so that it stays
small. Pictures of phones are 360 pixels wide, of desks 1280.
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from inventory.bench.pages import demonstration
from inventory.services.demo import ACCOUNTS, PASSWORD

ROOT = Path(__file__).resolve().parent.parent
STOREKEEPER, MANAGER, REGION = ACCOUNTS[0][0], ACCOUNTS[2][0], ACCOUNTS[3][0]
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
PICTURES = (
    ("today", STOREKEEPER, "id", "/", PHONE, "light"),
    ("alerts", MANAGER, "en", "/alerts", DESK, "light"),
    ("region", REGION, "en", "/offices/51/balances", DESK, "light"),
    ("stock-card", MANAGER, "en", "/offices/51.71/stock-card/ktp-wni", DESK, "light"),
    ("weeks", REGION, "id", "/offices/51/heat?item=ktp-wni", DESK, "light"),
)


def main() -> None:
    folder = ROOT / ".docs"
    folder.mkdir(exist_ok=True)
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    with demonstration() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        for name, account, language, path, size, scheme in PICTURES:
            context = browser.new_context(base_url=address, viewport=size, color_scheme=scheme, service_workers="block")
            page = context.new_page()
            log_in(page, account, language)
            page.goto(path, wait_until="networkidle")
            keep(page.screenshot(), folder / f"{name}.png")
            context.close()
        browser.close()


def log_in(page: Any, account: str, language: str) -> None:
    page.goto("/login")
    page.fill("input[name=email]", account)
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_selector("footer")
    page.click(f"button[name=language][value={language}]")
    page.wait_for_selector(f"html[lang={language}]")


def keep(data: bytes, file: Path) -> None:
    with Image.open(io.BytesIO(data)) as picture:
        picture.convert("RGB").quantize(64).save(file, optimize=True)


if __name__ == "__main__":
    main()
