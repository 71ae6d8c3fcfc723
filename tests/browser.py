"""A headless Chromium for the tests of the pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
"""Chromium by itself asks for updates and more; a test should see the page's own requests only."""


def chromium() -> str:
    """Path of Debian's Chromium; the test is skipped where it or Playwright is missing."""
    pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install 'accelsim[dev]'")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    return path


PATIENCE_MS = 180_000
"""How long a step may take on a machine that does much else; none of these tests is about speed."""


@contextmanager
def browser() -> Iterator[Any]:
    """Run a browser."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield instance
        instance.close()


class Opened:
    """A page with all that went wrong in it.

    Attributes:
        page: Playwright's page.
        complaints: Errors and warnings of the console, and exceptions.
        requests: Addresses that the page asked for.
    """

    def __init__(self, instance: Any, address: str, **context: Any) -> None:
        """Open an address and wait until the page says that it is drawn."""
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.context = instance.new_context(**context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("console", self._log)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector("html[data-ready=true]")

    def _log(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def texts(self, selector: str) -> list[str]:
        """Texts of all elements that match."""
        elements = self.page.locator(selector)
        found: list[str] = elements.evaluate_all("all => all.map(one => one.innerText ?? one.textContent)")
        return found

    def click_middle(self, selector: str) -> None:
        """Move to the middle of the first element that matches and click there, whatever lies above it."""
        element = self.page.locator(selector).first
        element.scroll_into_view_if_needed()
        box = element.bounding_box()
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.page.wait_for_timeout(150)  # the chart looks what is below the mouse now and then only
        self.page.mouse.down()
        self.page.mouse.up()

    def count(self, selector: str) -> int:
        """How many elements match."""
        number: int = self.page.locator(selector).count()
        return number
