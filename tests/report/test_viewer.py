"""The planes of a subject's page: small volumes against slow means, packed pixels read back, the browser's own view."""

import base64
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.io.ome import image as ome_zarr
from somray.io.ome.image import ScanMeta
from somray.io.storage import Storage
from somray.report.data.scan import ScanPixels
from somray.report.data.volume import small_volume
from somray.report.drawing.display import DisplayWindow
from somray.report.drawing.viewer import (
    MASK_BITS,
    level_values,
    levels_of,
    packed_labels,
    packed_levels,
    safe_json,
)
from somray.report.sections.viewer import SeenSession, _shift
from tests.slabs import write_label_slab, write_slab

from .small_run import EVIL, SHAPE, SPACING, SmallRun

CHROMIUM = Path("/usr/bin/chromium")
WINDOWS = (
    DisplayWindow("soft", -160, 240, "HU"),
    DisplayWindow("lung", -1350, 150, "HU"),
    DisplayWindow("bone", -500, 1300, "HU"),
)


def written(folder: Path, matrix: np.ndarray, image: np.ndarray, student: np.ndarray) -> ScanPixels:
    """Write a scan (z, y, x) with a student's mask, as a run holds it."""
    storage, shape = Storage.at(folder), (1, 1, *image.shape)
    geometry = Geometry.from_matrix(image.shape, matrix)
    meta = ScanMeta(shape, geometry, ("CT",), "HU", "digest", ((-1000.0, 400.0),), anatomical=True)
    ome_zarr.create_scan(storage, "scan", meta)
    for z0, z1 in meta.slabs:
        write_slab(storage, "scan", 0, z0, image[None, z0:z1])
    ome_zarr.finish_scan(storage, "scan", meta)
    ome_zarr.create_labels(storage, "scan", "student", "uint8")
    for z0, z1 in meta.slabs:
        write_label_slab(storage, "scan", "student", 0, z0, student[z0:z1])
    ome_zarr.finish_labels(storage, "scan", "student", {3: "lesion"})
    return ScanPixels(storage, "scan")


def test_blocks_are_means_masks_are_kept_and_the_grid_stands_upright(tmp_path: Path):
    rng = np.random.default_rng(0)
    image = rng.normal(0, 100, (7, 10, 12)).astype(np.float32)
    image[0, :2, :2] = np.nan
    student = np.zeros(image.shape, np.uint8)
    student[6, 9, 11] = 3
    # Columns run to the right, rows to the front, slices downwards: every axis against the patient's.
    matrix = np.diag([-2.0, -2.0, -2.0, 1.0])
    seen = small_volume(written(tmp_path, matrix, image, student), 4.0)
    assert seen.grid.factors == (2, 2, 2)
    slow = np.full((4, 5, 6), np.nan)
    for z, y, x in np.ndindex(4, 5, 6):
        block = image[2 * z : 2 * z + 2, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        slow[z, y, x] = np.nanmean(block) if np.isfinite(block).any() else np.nan
    np.testing.assert_allclose(seen.image[0], slow[::-1, ::-1, ::-1], rtol=1e-5)
    assert np.argwhere(seen.masks["student"]).tolist() == [[0, 0, 0]]
    # The block in the middle of voxels 0 and 1 of each axis is the last one.
    world = seen.to_world @ np.array([5.0, 4.0, 3.0, 1.0])
    np.testing.assert_allclose(world[:3], [-1.0, -1.0, -1.0])


def test_levels_serve_every_window_and_lose_less_than_half_a_step():
    values = level_values(WINDOWS)
    assert (np.diff(values) > 0).all()
    for window in WINDOWS:
        inside = np.count_nonzero((values >= window.low) & (values <= window.high))
        assert inside >= 256 / len(WINDOWS)
    pixels = np.linspace(-1350, 1300, 5000, dtype=np.float32)
    back = values[levels_of(pixels, values)]
    place = np.clip(np.searchsorted(values, pixels), 1, 255)
    assert (np.abs(back - pixels) <= 0.51 * np.diff(values)[place - 1] + 1e-3).all()
    assert levels_of(np.array([-3000.0, 3000.0, np.nan], np.float32), values).tolist() == [
        0,
        255,
        0,
    ]


def test_slices_of_a_mosaic_do_not_bleed_into_each_other():
    levels = np.stack([np.full((13, 21), 0 if z % 2 else 255, np.uint8) for z in range(11)])
    packed = packed_levels(levels)
    mosaic = cv2.imdecode(
        np.frombuffer(base64.b64decode(packed["jpeg"]), np.uint8), cv2.IMREAD_GRAYSCALE
    )
    for z, plane in enumerate(levels):
        y, x = z // packed["columns"] * packed["high"], z % packed["columns"] * packed["wide"]
        assert (np.abs(mosaic[y : y + 13, x : x + 21].astype(int) - plane) <= 1).all()


def test_labels_come_back_as_they_were():
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 7, (3, 5, 8)).astype(np.uint8)
    masks = {name: rng.random((3, 5, 8)) < 0.5 for name in MASK_BITS}
    packed = zlib.decompress(base64.b64decode(packed_labels(classes, masks)))
    found = np.frombuffer(packed, np.uint8).reshape(classes.shape)
    np.testing.assert_array_equal(found & 15, classes)
    for name, mask in masks.items():
        np.testing.assert_array_equal((found & MASK_BITS[name]) > 0, mask)


def test_json_cannot_end_its_element():
    text = safe_json({"name": f"</script>{EVIL}"})
    assert "<" not in text
    assert ">" not in text
    assert json.loads(text) == {"name": f"</script>{EVIL}"}


def content(run: SmallRun) -> dict[str, Any]:
    found = re.search(
        r'data-viewer hidden>\s*<script type="application/json">(.*?)</script>',
        run.page("sub-s01.html"),
        re.DOTALL,
    )
    assert found is not None
    return dict(json.loads(found.group(1)))


def middle(session: dict[str, Any], place: str) -> np.ndarray:
    """Return where the middle of the student's mask lies in the common frame (x, y, z)."""
    labels = np.frombuffer(zlib.decompress(base64.b64decode(session["labels"])), np.uint8)
    index = np.argwhere(labels.reshape(session["shape"]) & MASK_BITS["student"]).mean(axis=0)
    matrix = np.vstack([np.reshape(session[place], (3, 4)), [0, 0, 0, 1]])
    return (np.linalg.inv(matrix) @ np.array([*index[::-1], 1.0]))[:3]


def test_sessions_lie_on_each_other_where_registration_says_so(small_run: SmallRun):
    first, second = content(small_run)["sessions"]
    # The body moved by two voxels of 1.5 mm; both sessions' rows hold the same step of 3 mm.
    moved = middle(second, "own") - middle(first, "own")
    np.testing.assert_allclose(moved, [2 * SPACING[2], 0, 0], atol=0.8)
    step = middle(second, "aligned") - middle(second, "own")
    np.testing.assert_allclose(step, [-3.0, 0, 0], atol=1e-3)
    assert first["shape"] == list(SHAPE[2:])


def test_lesions_know_their_place_in_every_session(small_run: SmallRun):
    told = content(small_run)["lesions"]
    assert [(r["id"], r["session"]) for r in told] == [(1, 0), (1, 1), (2, 1)]
    for row in told:
        np.testing.assert_allclose(np.subtract(row["aligned"], row["own"]), [-3.0, 0, 0], atol=0.01)


def test_a_session_that_was_not_aligned_and_lies_far_off_is_laid_on_the_first(tmp_path: Path):
    def seen(left_mm: float, to_common: np.ndarray | None) -> SeenSession:
        matrix = np.eye(4)
        matrix[0, 3] = left_mm
        folder, image = tmp_path / f"{left_mm}", np.zeros((2, 3, 4), np.float32)
        pixels = written(folder, matrix, image, np.zeros(image.shape, np.uint8))
        return SeenSession({"session": "t0"}, pixels, small_volume(pixels, 1.0), to_common, "")

    first, view = seen(0.0, np.eye(4)), np.eye(4)
    np.testing.assert_allclose(_shift(seen(500.0, None), first, view), [-500.0, 0, 0])
    assert not _shift(seen(1.0, None), first, view).any()
    assert not _shift(seen(501.0, np.eye(4)), first, view).any()


@pytest.fixture(scope="module")
def page(small_run: SmallRun) -> Iterator[Any]:
    """Open the subject's page from its file; every message of the console is a fault."""
    api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed: apt-get install chromium")
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        faults: list[str] = []
        opened.on("console", lambda message: faults.append(message.text))
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.goto((small_run.root / "report" / "sub-s01.html").as_uri())
        opened.locator("#p0-viewer").scroll_into_view_if_needed()
        opened.wait_for_selector("#p0-viewer canvas")
        yield opened
        assert not faults
        browser.close()


def pictured(page: Any) -> list[str]:
    page.wait_for_timeout(250)
    shown: list[str] = page.eval_on_selector_all(
        "#p0-viewer canvas", "c => c.map(x => x.toDataURL())"
    )
    return shown


def test_the_browser_draws_and_leads_to_lesions(page: Any):
    before = pictured(page)
    assert len(before) == 6  # three planes of two sessions
    assert len(set(before)) == 6
    page.locator("#p0-viewer canvas").first.focus()
    page.keyboard.press("PageUp")
    page.keyboard.press("ArrowLeft")
    assert pictured(page) != before
    page.locator("#p0-viewer").get_by_role("button", name="Go to lesion 2 in session t1").click()
    assert pictured(page) == before  # the largest lesion, where it opens, has the same centroid
    status = page.locator("#p0-viewer .viewer-status").inner_text()
    assert re.search(r"t0: CT .* HU.* t1: CT .* HU", status)


def test_masks_can_be_switched_and_sessions_compared(page: Any):
    root = page.locator("#p0-viewer")
    before = pictured(page)
    root.get_by_label("classes of the map").check()
    assert pictured(page) != before
    root.get_by_label("classes of the map").uncheck()
    assert pictured(page) == before
    compare = root.locator("label", has_text="Compare").locator("select")
    compare.select_option("difference")
    assert len(pictured(page)) == 3
    compare.select_option("side")
    assert pictured(page) == before
    root.get_by_label("aligned to each other").uncheck()
    assert pictured(page) != before
