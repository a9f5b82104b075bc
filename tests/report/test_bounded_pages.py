"""Pages and their making stay small, however many lesions, slices or pixels a run has."""

import re
import tracemalloc

import numpy as np
import pytest

from somray.domain import tables as t
from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.io.ome import image as ome_zarr
from somray.io.ome.image import ScanMeta
from somray.io.storage import Storage
from somray.report.data import ReportData, SubjectData
from somray.report.data import scan as scan_room
from somray.report.data.pairs import planar_pair, session_pair
from somray.report.data.scan import ScanPixels
from somray.report.figures.registration import chain_drift
from somray.report.pages import _page, _subject
from somray.report.sections.masks import PAGE_PIXELS, _Share, masks_section
from somray.report.sections.objects import _folded
from somray.report.sections.registration import _refused_pairs, _worst

from .objects_run import LESION, object_row
from .pores_run import build
from .small_run import PROTOCOL as SMALL
from .small_run import build as build_small

PORES, SLICES = 2000, 700
PAGE_BYTES = 3_000_000


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    run = build(tmp_path_factory.mktemp("many"), PORES, depth=SLICES)
    sections = tuple(_subject(ReportData(str(run.root)), "s01"))
    return _page("Subject s01", (), sections, (), viewer=True)


def without_pictures(page):
    """Leave out embedded pixels and the outlines on them."""
    bare = re.sub(r"data:image/[a-z]+;base64,[^\"]*", "", page)
    return re.sub(r'<path class="(halo|outline)[^>]*>', "", bare)


def test_a_page_of_many_lesions_is_small_and_says_what_it_leaves_out(page):
    assert len(without_pictures(page)) < 700_000
    assert page.count("<tr>") < 600
    assert f"The 60 largest of {PORES} lesions are listed." in page
    assert f"Not listed at time index 0: {PORES - 60} of " in page
    assert "stands in tables/lesions" in page
    assert f"The {PORES - 28} smallest of {PORES} are not drawn." in page
    assert f"Volumes of the 60 largest of {PORES} lesions over 2 sessions" in page
    assert f"120 of {2 * (SLICES - 1)} pairs of neighbouring slices" in page


def test_all_changes_are_counted_though_few_are_listed(page):
    kinds = page[page.index("What the kinds of change mean") :]
    cells = re.findall(r'<td class="num ">([^<]+)</td>', kinds[: kinds.index("</table>")])
    assert sum(int(c.replace("\u202f", "")) for c in cells) == PORES
    assert f"{PORES // 40} changes are in doubt" in page


def test_small_volumes_are_told_in_small_units(page):
    assert '<span class="unit">(µm³)</span>' in page
    assert "volume (ml)" not in page


def scan_of(root, shape, seed=0):
    """Write one scan of smooth blobs, which look the same at every size, and open it as the report does."""
    rows, columns = shape[1:]
    z, y, x = np.meshgrid(*(np.linspace(0, 6, n, endpoint=False) for n in shape), indexing="ij")
    image = (np.sin(y + seed) * np.cos(x) + z).astype(np.float32)
    spacing = (1.0, 100.0 / rows, 100.0 / columns)
    geometry = Geometry.from_spacing(shape, spacing)
    meta = ScanMeta((1, 1, *shape), geometry, ("XCT",), "raw", f"d{seed}", anatomical=False)
    storage, name = Storage.at(root), RunLayout.scan("s", f"t{seed}")
    ome_zarr.create_scan(storage, name, meta)
    for brick in meta.bricks():
        ome_zarr.write_brick(storage, name, brick, image[None, *brick.box])
    ome_zarr.finish_scan(storage, name, meta)
    ome_zarr.create_labels(storage, name, "som", "uint8")
    for brick in meta.bricks():
        part = (image[brick.box] > 3).astype(np.uint8)
        ome_zarr.write_label_brick(storage, name, "som", brick, part)
    ome_zarr.finish_labels(storage, name, "som", {})
    return ScanPixels(storage, name)


def test_slices_of_common_size_are_read_as_they_are(tmp_path):
    pixels = scan_of(tmp_path, (2, 40, 300))
    assert (pixels.reduction, pixels.reduced) == (1, "")
    assert pixels.geometry == pixels.meta.geometry
    assert pixels.image(0, 1).shape == (1, 40, 300)


def test_large_slices_are_read_at_the_level_that_fills_a_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_room, "PICTURE_PIXELS", 128)
    pixels = scan_of(tmp_path, (2, 301, 600))
    assert pixels.reduction == 4
    assert pixels.reduced == " (read at 1/4 of its resolution)"
    assert pixels.image(0, 1).shape == (1, 76, 150)
    assert pixels.label("som", 0, 1).shape == (76, 150)
    full = pixels.meta.geometry
    coarse = pixels.geometry.to_world(np.array([[1.0, 10.0, 20.0]]))
    assert full.to_index(coarse) == pytest.approx(np.array([[1.0, 41.5, 81.5]]))
    (height, width), spacing = pixels.frame.shape, pixels.frame.spacing_mm
    assert height * spacing[0] == pytest.approx(101.0, abs=1.0)
    assert width * spacing[1] == pytest.approx(100.0)


def test_pairs_of_large_slices_lie_on_each_other_as_the_run_registered_them(tmp_path, monkeypatch):
    fixed = scan_of(tmp_path, (3, 256, 512))
    monkeypatch.setattr(scan_room, "PICTURE_PIXELS", 128)
    moving = scan_of(tmp_path, (3, 256, 512), seed=1)
    assert (fixed.reduction, moving.reduction) == (1, 2)
    shift = 256 / 6  # pixels that the second seed lies further up
    row = {"t": 0, "fixed_z": 1, "moving_z": 1, "model": "similarity"}
    row["matrix"] = [1.0, 0, 0, 0, 1, shift, 0, 0, 1]
    before, after = planar_pair(fixed, moving, row).differences()
    inside = slice(60, 250)
    assert np.nanmean(after[inside]) < 0.1 * np.nanmean(before[inside])
    moved = [1.0, 0, 0, 0, 0, 1, 0, shift * 100 / 256, 0, 0, 1, 0, 0, 0, 0, 1]
    whole = row | {"fixed_z": None, "matrix": moved}
    before, after = session_pair(fixed, moving, whole, 1).differences()
    assert np.nanmean(after[inside]) < 0.1 * np.nanmean(before[inside])


def test_memory_of_a_picture_does_not_follow_the_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_room, "PICTURE_PIXELS", 100)
    tilted = [1.0, 0, 0, 0, 0, 0.95, -0.3, 0, 0, 0.3, 0.95, 0, 0, 0, 0, 1]
    row = {"fixed_z": None, "matrix": tilted, "model": "rigid3d", "t": None}
    peaks = []
    for number, side in enumerate((256, 1024)):
        folder = tmp_path / str(number)
        fixed, moving = scan_of(folder, (4, side, side)), scan_of(folder, (4, side, side), seed=1)
        session_pair(fixed, moving, row, 2)  # what is imported and compiled once does not count
        tracemalloc.start()
        session_pair(fixed, moving, row, 2)
        fixed.masks(1, 0, 2)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_pictures_of_masks_share_a_page_however_many_sessions_there_are():
    def scans(count: int, channels: int) -> list[dict[str, int]]:
        return [{"shape_c": channels}] * count

    one, three, many = (_Share.of(scans(n, 1)) for n in (1, 3, 12))
    assert (one.slices, three.slices, many.slices) == (6, 6, 1)
    assert one.side > three.side
    assert one.windows
    assert not many.windows
    for count in range(1, 13):
        for channels in (1, 2, 4):
            share = _Share.of(scans(count, channels))
            pictures = count * channels * (share.slices + 2 * share.windows)
            assert pictures * share.side**2 <= max(PAGE_PIXELS, pictures * 128**2)


def test_a_subject_of_forty_sessions_has_a_small_page(tmp_path):
    names = [f"t{n}" for n in range(40)]
    run = build_small(tmp_path)
    template = run.root / RunLayout.scan("s01", "t0")
    (scan, *_) = ReportData(str(run.root)).rows("scans", subject="s01", session="t0")
    row = {k: v for k, v in scan.items() if k != "protocol"}
    for name in names[1:]:
        place = run.root / RunLayout.scan("s01", name)
        if not place.exists():
            place.symlink_to(template)
    rows = [t.ScanRow(**(row | {"session": s, "days": 7.0 * n})) for n, s in enumerate(names)]
    run.rows("scans", SMALL, rows)
    data = ReportData(str(run.root), ("s01",))
    subject = SubjectData(data, SMALL, "s01")
    assert len(subject.done) == 40
    shown = masks_section(subject, "p0")
    told = [b.text for b in shown.blocks if hasattr(b, "text")]
    assert "28 sessions between them not pictured; all can be looked through above." in told
    sessions = [b for b in shown.blocks if hasattr(b, "blocks")]
    pictures = [p for s in sessions for b in s.blocks for p in getattr(b, "pictures", ())]
    assert len(sessions) == len(pictures) == 12
    assert sessions[0].title == "Session t0, day 0"
    assert sessions[-1].title == "Session t39, day 273"
    page = _page("Subject s01", (), tuple(_subject(data, "s01")), (), viewer=True)
    assert len(page.encode()) < PAGE_BYTES


def test_the_worst_slice_pairs_are_listed_in_their_own_order():
    rows = [{"status": "ok", "ncc_after": 0.9, "fixed_z": z} for z in range(400)]
    rows[7] |= {"status": "refused", "ncc_after": None}
    rows[399] |= {"ncc_after": 0.1}
    listed = [r["fixed_z"] for r in _worst(rows)]
    assert len(listed) == 120
    assert {7, 399} < set(listed)
    assert listed == sorted(listed)
    assert _worst(rows[:5]) == rows[:5]


def test_many_reasons_of_refusal_are_told_in_few_lines():
    rows = [
        {"kind": "slices", "fixed_session": "t0", "status": "refused", "reason": f"evidence {n}"}
        for n in (1, 2, 2, 3, 4, 5, 6)
    ]
    told = [n.lead for n in _refused_pairs(rows)]
    assert told == ["2 pairs refused:", *["1 pair refused:"] * 3, "2 pairs more refused:"]


def test_a_long_list_of_objects_is_cut_to_the_largest_and_says_so():
    rows = [vars(object_row(LESION, object_id=n, volume_mm3=float(n))) for n in range(400)]
    told = _folded("All 400 lesions and objects in doubt of t0", "Lesions, t0.", rows, {})
    (table,) = told.blocks
    assert len(table.rows) == 150
    assert told.summary == "400 lesions and objects in doubt of t0: the 150 largest"
    assert table.caption == "Lesions, t0: the 150 largest of 400; all stand in tables/objects."


def test_a_long_chain_keeps_its_largest_drift_and_its_gaps():
    rows = [
        {
            "z": z,
            "drift_mm": 7.25 if z == 1234 else 1.0,
            "cycle_error_mm": 0.1,
            "status": "ok",
            "matrix": [1.0],
        }
        for z in range(2000)
    ]
    for row in rows[500:503]:
        row |= {"drift_mm": None, "matrix": None}
    drawn = chain_drift(rows, "c")
    assert "Drift along z over 2000 slices, at most 7.25 mm; 3 not aligned." in drawn
    assert len(drawn) < 100_000
