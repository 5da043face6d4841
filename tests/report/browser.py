"""A page in Debian's Chromium, driven through Playwright, that must neither err nor ask."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ElementHandle, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"


def executable() -> str:
    """The system's browser; without one the test is skipped."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no browser: apt-get install chromium")
    return found


@contextmanager
def started() -> Iterator[Browser]:
    """A browser without a window."""
    path = executable()
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
    with api.sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, which tests in containers mostly are.
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, file: Path, state: str = "", **settings: Any) -> Iterator[Page]:
    """A page in a context of its own. At the end it must have asked for nothing but its pictures,
    and have said nothing on the console.
    """
    said: list[str] = []
    asked: set[str] = set()
    context = browser.new_context(viewport={"width": 1280, "height": 900}, **settings)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.add(request.url.partition("#")[0]))
    try:
        page.goto(file.as_uri() + state)
        until(page, "document.querySelectorAll('.card, .nothing').length > 0")
        yield page
        beside = f"{file.with_name(file.stem)}_files/"
        strangers = {url for url in asked if not url.startswith(("data:", f"file://{beside}"))}
        assert strangers == {file.as_uri()}
        assert said == []
    finally:
        context.close()


def until(page: Page, script: str, element: ElementHandle | None = None) -> None:
    """Wait till a script returns true. ``wait_for_function`` evaluates, which pages forbid."""
    for _ in range(600):
        if page.evaluate(script, element):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not within 30 s: {script}")
