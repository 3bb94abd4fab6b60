"""The mirror's page in a real browser, from the role's nginx with its headers: what a visitor gets.

Screenshots of each run are in `.screenshots/`, to be looked at.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mirrors
import pytest
from axe_playwright_python.sync_playwright import Axe
from bandersnatch import announce
from harness import ROOT
from nginxsite import ANSIBLE, NGINX, Site, serve
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")
SHOTS = ROOT / ".screenshots"
SIZES = {"phone": 360, "desktop": 1280}

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(not ANSIBLE.exists(), reason="ansible-core is not installed beside pytest"),
]


class Visit(NamedTuple):
    """An open page, and what the browser did and said for it."""

    page: Page
    requests: list[str]
    said: list[str]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # as root there is no sandbox; what is opened is ours
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module", params=["grown", "new"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The page of a mirror that has seen much, and of one whose first sync failed."""
    base = tmp_path_factory.mktemp("site")
    if request.param == "grown":
        mirrors.grown(base)
    else:
        one = mirrors.config(base, "http://mirror.example.net:8080/")
        one.web.mkdir(parents=True)
        with announce.remembered(one, full_check=False, dry=False) as outcome:
            outcome.error = announce.StorageError(f"{mirrors.HOSTILE} is full")
    with serve(base) as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def visit(browser: Browser, site: Site, scheme: str, width: int) -> Visit:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    requests: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"http://127.0.0.1:{site.port}/", wait_until="networkidle")
    return Visit(page, requests, said)


def shot(page: Page, site: Site, name: str) -> None:
    SHOTS.mkdir(exist_ok=True)
    state = "grown" if (site.web / "local-stats").exists() else "new"
    page.screenshot(path=SHOTS / f"{state}-{name}.png", full_page=True)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_shown_whole_and_quietly(browser: Browser, site: Site, scheme: str, size: str) -> None:
    page, requests, said = visit(browser, site, scheme, SIZES[size])
    try:
        shot(page, site, f"{size}-{scheme}")
        assert said == [], "the console is silent: nothing was blocked, nothing is missing"
        assert [url for url in requests if not url.startswith("data:")] == [page.url], "it needs nothing else"
        assert page.title().startswith("Python package mirror "), "hostile text is text"
        assert page.evaluate("document.scrollingElement.scrollWidth") <= SIZES[size]
        for details in page.locator("summary").all():
            details.click()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= SIZES[size], "with its tables open"
    finally:
        page.close()


def test_it_follows_the_readers_choice_of_colours(browser: Browser, site: Site) -> None:
    papers = {}
    for scheme in ("light", "dark"):
        page = visit(browser, site, scheme, 1280).page
        rgb = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
        papers[scheme] = sum(rgb[:3]) / 3
        page.close()
    assert papers["light"] > 230
    assert papers["dark"] < 50


@pytest.mark.parametrize("size", SIZES)
def test_it_is_accessible(browser: Browser, site: Site, scheme: str, size: str) -> None:
    page = visit(browser, site, scheme, SIZES[size]).page
    try:
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert len(found.response["passes"]) > 10, "it has looked"
    finally:
        page.close()


def test_one_click_selects_a_whole_command(browser: Browser, site: Site) -> None:
    page = visit(browser, site, "light", 360).page
    try:
        page.locator("pre code").first.click()
        selected = page.evaluate("getSelection().toString()")
        assert selected.startswith("pip install --index-url http")
        assert selected.endswith(" requests")
    finally:
        page.close()


def test_text_in_plots_is_readable_on_a_phone(browser: Browser, site: Site) -> None:
    page = visit(browser, site, "light", 360).page
    try:
        heights: list[Any] = page.evaluate(
            "[...document.querySelectorAll('svg text')].map(one => one.getBoundingClientRect().height)"
        )
        assert all(height >= 12 for height in heights), "not scaled down with the drawing"
        assert bool(heights) is (site.web / "local-stats").exists()
    finally:
        page.close()


def test_the_links_lead_to_the_mirrors_own(browser: Browser, site: Site) -> None:
    (site.web / "simple").mkdir(exist_ok=True)
    (site.web / "simple/index.html").write_text("root")
    (site.web / "local-stats/days").mkdir(parents=True, exist_ok=True) if (
        site.web / "local-stats"
    ).exists() else None
    page = visit(browser, site, "light", 1280).page
    try:
        links = page.eval_on_selector_all("a", "all => all.map(one => one.getAttribute('href'))")
        assert "status.json" in links
        for link in links:
            assert site.get(f"/{link}").status in ((200, 503) if link == "healthz" else (200,)), link
    finally:
        page.close()


def test_screenshots_are_not_committed() -> None:
    assert ".screenshots" in (Path(ROOT) / ".gitignore").read_text()
