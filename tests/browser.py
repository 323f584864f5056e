"""A real Chromium without a screen: found, or installed from Debian where that can be done; driven by Playwright."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
INSTALL = (["apt-get", "update"], ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"])


def find_chromium() -> str | None:
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def chromium() -> str:
    """Find Chromium: the one that CHROMIUM names, or one on the PATH, or Debian's, installed now by root."""
    with FileLock(Path(tempfile.gettempdir(), "install-chromium.lock")):  # of several processes one installs it
        if not find_chromium() and os.geteuid() == 0 and shutil.which("apt-get"):
            for command in INSTALL:
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = find_chromium()
    if found is None:
        raise RuntimeError("no Chromium here\n  → apt-get install chromium   # or: export CHROMIUM=/path/to/chrome")
    return found


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start it once, for all pages of a file of tests."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """A page that is open, and what it did: errors that it met, addresses that it asked a network for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def open_page(browser: Browser, file: Path, scheme: str = "light", width: int = 1280) -> Seen:
    """Open a file as a user does who double-clicks it, and wait until it can be used."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
    seen = Seen(context.new_page())
    seen.page.on("console", lambda said: seen.errors.append(said.text) if said.type == "error" else None)
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("dialog", lambda dialog: seen.errors.append(f"dialog {dialog.message}"))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(file.as_uri())
    return seen


def of_network(seen: Seen) -> list[str]:
    """The addresses that are no part of the page's own file."""
    return [url for url in seen.requests if not url.startswith(("file:", "blob:", "data:"))]
