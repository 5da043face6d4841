"""What a person does with a report, in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from editbench import api
from editbench.report.result import RunResult
from tests.report import pages
from tests.report.browser import AXE, opened, started, until
from tests.report.models import HARM, REPLY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

LOADED = "img => img.complete && img.naturalWidth > 0"


class Site(NamedTuple):
    one: Path
    two: Path
    folder: Path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started() as browser:
        yield browser


def apart(make: Callable[[], list[RunResult]]) -> list[RunResult]:
    """Call in a thread of its own: Playwright has an event loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(make).result()


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    runs = apart(lambda: pages.runs(folder, 40))
    return Site(
        api.write_report(runs[0], folder / "one.html"),
        api.write_report(runs, folder / "two.html"),
        api.write_report(runs[0], folder / "beside.html", pictures="folder"),
    )


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with opened(browser, site.one) as page:
        yield page


@pytest.fixture
def both(browser: Browser, site: Site) -> Iterator[Page]:
    with opened(browser, site.two) as page:
        yield page


def ids(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all(
        ".card", "cards => cards.map(card => card.ariaLabel)"
    )
    return found


def shows(page: Page, count: int) -> None:
    """Wait till so many cards are there."""
    until(page, f"document.querySelectorAll('.card').length === {count}")


def card(page: Page, pair: str) -> Locator:
    return page.get_by_role("article", name=pair, exact=True)


def at(slider: Locator) -> float:
    """Where a slider stands, in percent, by what is seen of the edit."""
    left = slider.locator(".after").evaluate(
        "img => /inset\\(0px 0px 0px (.+)%\\)/.exec(getComputedStyle(img).clipPath)[1]"
    )
    return float(left)


def first_slider(page: Page) -> tuple[Locator, dict[str, float]]:
    slider = page.locator(".slider:has(input)").first
    slider.scroll_into_view_if_needed()
    box: Any = slider.bounding_box()
    return slider, box


def test_the_slider_follows_the_mouse(page: Page) -> None:
    slider, box = first_slider(page)
    assert at(slider) == 50
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    assert at(slider) == pytest.approx(20, abs=2)
    page.mouse.move(box["x"] + 0.8 * box["width"], middle)
    page.mouse.up()
    assert at(slider) == pytest.approx(80, abs=2)


def test_the_slider_follows_the_keyboard(page: Page) -> None:
    slider, _ = first_slider(page)
    slider.get_by_role("slider").focus()
    for key, place in (("ArrowRight", 51), ("ArrowLeft", 50), ("Home", 0), ("End", 100)):
        page.keyboard.press(key)
        assert at(slider) == place


def test_the_slider_follows_a_finger(browser: Browser, site: Site) -> None:
    with opened(browser, site.one, has_touch=True) as page:
        slider, box = first_slider(page)
        page.touchscreen.tap(box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2)
        assert at(slider) == pytest.approx(30, abs=2)


def test_a_pair_can_be_enlarged_and_its_neighbours_follow(page: Page) -> None:
    first, second = page.locator(".card").nth(0), page.locator(".card").nth(1)
    first.get_by_role("button", name="enlarge").click()
    stage = page.get_by_role("dialog")
    until(page, LOADED, stage.locator(".after").element_handle())
    page.keyboard.press("End")
    assert at(stage.locator(".slider")) == 100
    assert stage.get_by_role("button", name="previous").is_disabled()
    stage.get_by_role("button", name="next").click()
    assert stage.locator(".buttons bdi").text_content() == second.get_attribute("aria-label")
    page.keyboard.press("Escape")
    assert not stage.is_visible()


def test_further_sources_stand_below(page: Page) -> None:
    two = card(page, "two-sources")
    two.scroll_into_view_if_needed()
    until(page, LOADED, two.get_by_alt_text("a further source").element_handle())


def test_pictures_come_as_their_card_comes_near(page: Page) -> None:
    last = page.locator(".slider img.after").last
    assert last.evaluate("img => img.hasAttribute('data-place')")
    last.scroll_into_view_if_needed()
    until(page, LOADED, last.element_handle())


def test_pictures_in_a_folder_are_shown(browser: Browser, site: Site) -> None:
    with opened(browser, site.folder) as page:
        slider, _ = first_slider(page)
        image = slider.locator(".before").element_handle()
        until(page, LOADED, image)


def test_the_worst_pairs_come_first_and_failures_last(page: Page) -> None:
    scores = [
        float(text)
        for text in page.locator(".card .score").all_text_contents()
        if text[0].isdigit()
    ]
    assert len(scores) == 43 and scores == sorted(scores)
    assert set(ids(page)[43:]) == {"no-edit", "refused", "cut", "above", "harm-raw"}


def test_searching_finds_instructions_reasons_and_replies_in_any_script(page: Page) -> None:
    search = page.get_by_role("searchbox")
    for words, count in (
        ("RED  hat", 10),
        ("天空下雪", 10),
        ("قبعة", 10),
        ("iframe", 1),
        ("zzz", 0),
    ):
        search.fill(words)
        assert len(ids(page)) == count, words
    assert page.get_by_text("No pair is like that.").is_visible()
    assert page.locator("#count").inner_text() == "0 of 48 pairs"
    page.get_by_role("button", name="clear").click()
    shows(page, 48)  # the last of them come a moment later
    assert search.input_value() == ""


def test_filters_narrow_and_combine(page: Page) -> None:
    page.get_by_label("Category").select_option("环境")
    assert len(ids(page)) == 8
    page.get_by_label("highest score").fill("3")
    low = [float(text) for text in page.locator(".card .score").all_text_contents()]
    assert 0 < len(low) < 8 and max(low) <= 3
    page.get_by_role("button", name="clear").click()
    page.get_by_label("State").select_option("failed")
    assert len(ids(page)) == 5
    page.get_by_label("State").select_option("truncated")
    assert ids(page) == ["cut"]


def test_orders_are_what_they_say(page: Page) -> None:
    page.get_by_label("Sort").select_option("id")
    assert ids(page)[:2] == ["above", "cut"] and ids(page) == sorted(ids(page))
    page.get_by_label("Sort").select_option("best")
    texts = page.locator(".card .score").all_text_contents()[:43]
    assert texts == sorted(texts, key=float, reverse=True)


def test_the_address_keeps_the_view(page: Page) -> None:
    page.get_by_label("Category").select_option("指代")
    page.get_by_label("Sort").select_option("best")
    page.get_by_role("searchbox").fill("moon")
    seen = ids(page)
    assert 0 < len(seen) < 8
    page.reload()
    page.wait_for_selector(".card")
    assert ids(page) == seen
    assert page.get_by_label("Category").input_value() == "指代"
    assert page.get_by_label("Sort").input_value() == "best"
    assert page.get_by_role("searchbox").input_value() == "moon"


def test_links_lead_to_pairs_and_back(page: Page) -> None:
    page.locator("#failures summary", has_text="something broke").click()
    page.locator("#failures").get_by_role("link", name="no-edit").click()
    shows(page, 1)
    assert ids(page) == ["no-edit"]
    page.go_back()
    shows(page, 48)
    page.locator("#categories").get_by_role("link", name="causal").click()
    shows(page, 8)
    assert page.get_by_label("Category").input_value() == "causal"


def test_hostile_text_is_text(page: Page) -> None:
    assert page.evaluate("window.harm") is None
    found = card(page, f"harm-{HARM}")
    assert found.locator(".instruction").text_content() == HARM
    assert card(page, "harm-reason").locator(".reason").text_content() == HARM
    reply = card(page, "harm-raw")
    reply.get_by_text("reply and facts").click()
    assert reply.locator("pre").first.text_content() == REPLY
    assert page.locator("iframe, .card script, img[src=x]").count() == 0


def test_marks_of_direction_turn_nothing_around_them(page: Page) -> None:
    for pair in (f"harm-{HARM}", "pair-0000"):
        meta = card(page, pair).locator(".meta")
        meta.scroll_into_view_if_needed()
        category, link = meta.locator("> bdi").bounding_box(), meta.locator("a").bounding_box()
        assert category and link and category["x"] < link["x"]
    arabic = card(page, "pair-0002").locator(".instruction")
    assert arabic.evaluate("element => getComputedStyle(element).direction") == "rtl"


def test_the_page_cannot_ask_for_anything(browser: Browser, site: Site) -> None:
    """Not even if a script did get in: the policy stands before the network."""
    context = browser.new_context()
    asked: list[str] = []
    context.on("response", lambda response: asked.append(response.url))
    page = context.new_page()
    page.goto(site.one.as_uri())
    refused = page.evaluate(
        """async () => {
          const refused = [];
          addEventListener("securitypolicyviolation", one => refused.push(one.effectiveDirective));
          await fetch("http://127.0.0.1:9/").catch(() => {});
          new Image().src = "http://127.0.0.1:9/";
          const script = document.createElement("script");
          script.textContent = "window.harm = 3";
          document.body.append(script);
          await new Promise(resolve => setTimeout(resolve, 50));
          return [refused, window.harm ?? null];
        }"""
    )
    context.close()
    assert refused == [["connect-src", "script-src-elem", "img-src"], None]
    assert asked == [site.one.as_uri()]


def test_two_runs_show_what_differs(both: Page) -> None:
    assert len(ids(both)) == 48
    both.get_by_label("only differing").check()
    differing = ids(both)
    assert 0 < len(differing) <= 10
    both.get_by_label("Sort").select_option("drop")
    moves = [float(text) for text in both.locator(".card .moved").all_text_contents()]
    assert len(moves) == len(differing) and moves == sorted(moves) and moves[0] < 0 < moves[-1]


def test_a_dot_of_the_scatter_leads_to_its_pair(both: Page) -> None:
    dot = both.locator("circle[data-pair=pair-0000]")
    dot.dispatch_event("click")
    shows(both, 1)
    assert ids(both) == ["pair-0000"]


def test_printing_shows_every_picture(page: Page) -> None:
    assert page.pdf(format="A4").startswith(b"%PDF")
    assert page.locator("img[data-place]").count() == 0
    page.emulate_media(media="print")
    assert not page.locator("#filter").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["one", "two"])
def test_no_serious_barrier_stands_in_the_way(
    browser: Browser, site: Site, scheme: str, name: str
) -> None:
    if not AXE.is_file():
        pytest.skip(f"no axe-core in {AXE.parent}: npm install --no-save axe-core")
    file: Path = getattr(site, name)
    with opened(browser, file, color_scheme=scheme, reduced_motion="reduce") as page:
        page.evaluate(AXE.read_text(encoding="utf-8"))
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    serious = {
        rule["id"]: [node["html"][:200] for node in rule["nodes"][:3]]
        for rule in found
        if rule["impact"] in ("serious", "critical")
    }
    assert serious == {}


@pytest.mark.slow
def test_two_thousand_pairs_are_painted_within_a_second(
    browser: Browser, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    """By the browser's own clock, from the start of the navigation to the first paint."""
    pairs = pages.suite(tmp_path / "suite", 2000, special=False)
    runs = apart(lambda: [pages.run(tmp_path, "large", pairs)])
    file = api.write_report(runs, tmp_path / "large.html")
    assert file.stat().st_size > 30_000_000
    with opened(browser, file) as page:
        paints = page.evaluate("performance.getEntriesByType('paint').map(one => one.startTime)")
        shows(page, 2000)
        page.get_by_role("searchbox").fill("red hat")
        shows(page, 500)
    record_property("first paint, ms", paints)
    assert 0 < max(paints) < 1000
