"""A real Chromium that sees only what we serve or write."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
IN_CI = bool(os.environ.get("CI"))

needs_browser = pytest.mark.skipif(
    CHROMIUM is None and not IN_CI, reason="no Chromium here: `apt-get install chromium`, or your system's package"
)


@contextmanager
def a_page(width: int = 1100, dark: bool = False) -> Iterator[Any]:
    """A browser's page of this width in pixels, which cannot reach any host."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            scheme = "dark" if dark else "light"
            context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
            yield context.new_page()
        finally:
            browser.close()
