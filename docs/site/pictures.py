"""Take the pictures of the method out of reports that somray made.

Each picture is a row of figures of a report, found by how their captions begin, drawn once more on a page of their own:

    .venv/bin/python docs/site/pictures.py DEMO_RUN PETCT_RUN

DEMO_RUN is what `make demo` leaves, PETCT_RUN any run of PET/CT. Needs Debian's chromium.
"""

import io
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from playwright.sync_api import Page, sync_playwright

OUT = Path(__file__).resolve().parents[1] / "pictures"
CHROMIUM = "/usr/bin/chromium"
MOST_BYTES = 150_000
COLOURS = 128

PICK = """([captions, most]) => {
  const figures = [...document.querySelectorAll('figure')].map(figure => [
    figure, (figure.querySelector('figcaption')?.textContent ?? '').trim()]);
  const found = [];
  for (const caption of captions)
    found.push(...figures.filter(([, text]) => new RegExp(caption).test(text)).slice(0, most));
  const row = document.createElement('main');
  row.id = 'row';
  row.append(...found.map(([figure]) => figure.cloneNode(true)));
  document.body.replaceChildren(row);
  return found.map(([, text]) => text);
}"""
"""Leave nothing on the page but the figures that are asked for."""

STYLE = """
body { margin: 0; max-width: none; background: white; }
#row { display: grid; grid-template-columns: repeat(COLUMNS, minmax(0, 1fr)); gap: 12px; width: WIDTHpx; padding: 8px;
       margin: 0; max-width: none; }
#row figure { margin: 0; width: 100%; max-width: none; }
#row figure svg, #row figure img { width: 100%; height: auto; max-width: none; }
#row figcaption { font-size: 12px; }
"""


class Picture(NamedTuple):
    """One picture.

    Args:
        name: of the file.
        run: 0 the demo, 1 PET/CT.
        page: of the report.
        captions: how those of its figures begin, as regular expressions.
        columns: figures side by side.
        most: figures of each caption.
        width: in pixels.
    """

    name: str
    run: int
    page: str
    captions: tuple[str, ...]
    columns: int = 3
    most: int = 1
    width: int = 960


METHOD = "method-phantom-ct.html"
PICTURES = (
    Picture("demo", 0, "sub-s01.html", (), width=1000),
    Picture("teacher", 0, METHOD, ("^CT of subject", "^Cluster map"), 2),
    Picture("features", 0, METHOD, (r"^CT (?!of )",), 5, 10, 1040),
    Picture("radar", 0, METHOD, ("^Class (normal|lesion|boundary)",), 3, 3),
    Picture("map", 0, METHOD, ("^The map", "^Hit map", "^U-matrix")),
    Picture("transfer", 0, "sub-s01.html", ("^CT, slice .*soft tissue",), 3, 3),
    Picture("signatures", 0, "sub-s01.html", ("^Class (normal|lesion|fat) .*in each",), 3, 3),
    Picture("rounds", 0, METHOD, ("^Overlap", "^Change of the mean", "^Training loss"), 3, 1, 1200),
    Picture("matches", 0, "sub-s01.html", ("^Matches",), 1, 1, 760),
    Picture("residuals", 0, "sub-s01.html", ("^Overlay", "^.Difference."), 2, 2, 700),
    Picture("lesions", 0, "sub-s01.html", ("^Volume of every lesion", "^Every lesion in every"), 2, 1, 1100),
    Picture("objects", 1, "sub-STS_012.html", ("maximum-intensity", "^(CT|PET), slice 26, (soft|uptake)"), 4, 2, 1200),
)  # fmt: skip


VIEWER = "demo"
"""The picture of the README: the planes of a subject's sessions, once their script has drawn them."""


def viewer_taken(page: Page) -> bytes:
    """Return the viewer of a subject's page."""
    page.evaluate("document.querySelector('#p0-viewer').scrollIntoView()")
    page.locator(".viewer").first.wait_for(state="visible")
    page.add_style_tag(content=".viewer table, .viewer .table, .viewer figure { display: none; }")
    page.wait_for_timeout(3000)  # planes are drawn one after the other
    return compact(page.locator(".viewer").first.screenshot())


def compact(png: bytes) -> bytes:
    """Return a picture as PNG of few colours."""
    shot = Image.open(io.BytesIO(png)).convert("RGB")
    file = io.BytesIO()
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def taken(page: Page, picture: Picture) -> bytes:
    """Return the picture of some figures."""
    if picture.name == VIEWER:
        return viewer_taken(page)
    found = page.evaluate(PICK, [list(picture.captions), picture.most])
    if len(found) < len(picture.captions):
        raise SystemExit(f"{picture.name}: {picture.page} has of its figures only {found}")
    style = STYLE.replace("COLUMNS", str(picture.columns)).replace("WIDTH", str(picture.width))
    page.add_style_tag(content=style)
    return compact(page.locator("#row").screenshot())


def main(argv: list[str]) -> int:
    """Write docs/pictures from two runs, or only the pictures that are named after them."""
    runs, names = argv[:2], argv[2:]
    OUT.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for picture in PICTURES:
            if names and picture.name not in names:
                continue
            page = browser.new_page(viewport={"width": picture.width + 40, "height": 800})
            page.goto((Path(runs[picture.run]).resolve() / "report" / picture.page).as_uri())
            data = taken(page, picture)
            (OUT / f"{picture.name}.png").write_bytes(data)
            print(f"{picture.name}: {len(data) // 1000} KB")
            if len(data) > MOST_BYTES:
                raise SystemExit(f"{picture.name}: more than {MOST_BYTES} bytes")
            page.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
