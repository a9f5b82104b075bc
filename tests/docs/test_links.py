"""Every link of the documentation leads somewhere."""

from urllib.parse import urlsplit

import pytest

from tests.docs.pages import ROOT, anchors, links, pages


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    lost = []
    for target in links(page):
        if "://" in target:
            parts = urlsplit(target)
            if parts.scheme not in ("https", "http") or "." not in parts.netloc:
                lost.append(target)
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        is_page = goal.suffix == ".md" and goal.is_file()
        if not goal.exists() or (anchor and is_page and anchor not in anchors(goal)):
            lost.append(target)
    assert lost == []


def test_a_lost_link_and_a_lost_anchor_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title, here\n[a](none.md) `[x](y)`\n```\n[b](c)\n```\n![d](#a-title-here)\n"
    )
    assert list(links(page)) == ["none.md", "#a-title-here"]
    assert anchors(page) == {"a-title-here"}


def test_the_readme_is_one_page():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.split()) <= 800
    assert text.count("\n") <= 110


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs").rglob("*.png")}
    assert {name: size for name, size in sizes.items() if size > 150_000} == {}
    assert sum(sizes.values()) <= 1_500_000
