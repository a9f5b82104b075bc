"""The pages in a real browser: tables sort and filter, links lead somewhere, nothing is barred to anybody."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from somray.report import pages
from somray.report.data import SliceFrame
from somray.report.drawing.thumbnails import thumbnail

from .small_run import EVIL, PROTOCOL, SmallRun

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")

CHROMIUM = Path("/usr/bin/chromium")
SERIOUS = ("serious", "critical")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no /usr/bin/chromium")
NAMES = ("index.html", f"method-{PROTOCOL}.html", "subjects-1.html", "sub-s01.html")
FILTERED = "table[data-filter]"


@pytest.fixture(scope="module")
def report(small_run: SmallRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report as of a cohort that is too large for one list."""
    run = SmallRun(tmp_path_factory.mktemp("browser") / "run")
    shutil.copytree(small_run.root, run.root)
    frame = SliceFrame((48, 56), (1.0, 1.5))
    picture = thumbnail(np.full((48, 56), 90, np.uint8), {}, frame, "a small picture")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "PER_PAGE", 1)
        pages._write_cohort(["s01", "s02"], (str(run.root), {"s01": picture}))
    return run.root / "report"


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser) -> Iterator[object]:
    """Give a page that may say nothing to the console: a script that the page's policy bars does."""
    opened, said = browser.new_page(viewport={"width": 1280, "height": 900}), []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    opened.close()
    assert said == []


def column(page, table: str, number: int) -> list[str]:
    """Return a column's cells as they stand."""
    cells = page.locator(f"{table} tbody tr td:nth-child({number})")
    return cells.all_inner_texts()


@pytest.mark.parametrize("name", NAMES)
def test_no_page_is_barred_to_anybody(report, page, name):
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto((report / name).as_uri())
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        options = {"resultTypes": ["violations"]}
        if scheme == "dark":  # only colours differ
            options["runOnly"] = ["color-contrast"]
        inside = {"exclude": [["svg > *"]]}  # charts are pictures with a text of their own
        found = axe.Axe().run(page, context=inside, options=options).response["violations"]
        serious = [
            (v["id"], n["html"][:200])
            for v in found
            if v["impact"] in SERIOUS
            for n in v["nodes"][:3]
        ]
        assert serious == []


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_at_common_widths(report, page, name):
    page.goto((report / name).as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    cut = """[...document.querySelectorAll('.scroll')]
        .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.ariaLabel)"""
    assert page.evaluate(cut) == []
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_table_sorts_by_mouse_and_keyboard_and_filters(report, page):
    page.goto((report / f"method-{PROTOCOL}.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    table = "table[data-sortable]"
    head = page.locator(f"{table} th", has_text="IoU").first
    number = head.evaluate("(e) => e.cellIndex") + 1
    before = column(page, table, number)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, table, number) == sorted(before, key=float)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert column(page, table, number) == sorted(before, key=float, reverse=True)


def test_a_long_table_is_filtered_by_words(report, page):
    page.goto((report / "index.html").as_uri())
    box = page.get_by_role("searchbox").first
    table = page.locator(FILTERED).first
    rows = table.locator("tbody tr")
    assert rows.count() >= 12
    box.fill("t1 student")
    shown = [text for text in rows.all_inner_texts() if text.strip()]
    visible = [row for row in rows.all() if row.is_visible()]
    assert 0 < len(visible) < len(shown)
    assert all("student" in row.inner_text() and "t1" in row.inner_text() for row in visible)
    assert (
        f"{len(visible)} of {rows.count()} rows"
        in page.locator(".tools", has=page.locator("output")).first.inner_text()
    )


def test_links_lead_from_the_cohort_to_a_subject_and_back(report, page):
    page.goto((report / "index.html").as_uri())
    worst = page.locator("#subjects tbody tr").first
    assert "failed: truncated" in worst.inner_text()
    page.get_by_role("link", name="s01 to s01").first.click()
    assert page.title().startswith("Subjects s01")
    page.get_by_role("link", name="s01", exact=True).first.click()
    assert page.locator("h1").inner_text() == "Subject s01"
    page.get_by_role("link", name="Cohort", exact=True).click()
    assert page.locator("h1").inner_text() == "Cohort"


def test_a_script_in_a_message_is_text(report, page):
    page.goto((report / "sub-s02.html").as_uri())
    assert EVIL in page.locator("#failures").inner_text()
    assert page.get_by_role("link", name="Method of chest-ct").count() == 1
