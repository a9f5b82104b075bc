"""Objects on a subject's page: projections that lie right, every reason, the line that overrules."""

import html
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from somray.config import CohortConfig
from somray.domain.geometry import Geometry
from somray.report.data.projections import project
from somray.report.pages import write_report

from .objects_run import (
    BOXES,
    CALLED,
    DOUBT,
    LESION,
    LESION_ID,
    PROTOCOL,
    SHAPE,
    SPACING,
    build,
    object_row,
    pixels_of,
    write_scan,
)
from .small_run import EVIL, SmallRun
from .test_pages import section


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    made = build(tmp_path_factory.mktemp("objects"))
    rows = [object_row(n, s) for s in ("t0", "t1") for n in CALLED]
    made.rows("objects", PROTOCOL, rows)  # type: ignore[arg-type]
    write_report(str(made.root))
    return made


@pytest.fixture(scope="module")
def shown(run: SmallRun) -> str:
    return section(run.page("sub-s01.html"), "p0-objects")


def test_a_projection_holds_the_hottest_value_along_each_line_of_sight(run: SmallRun):
    front, side = project(pixels_of(run, "t0"), 0, 0, CALLED)
    assert front.image.shape == (SHAPE[2], SHAPE[4])
    assert side.image.shape == (SHAPE[2], SHAPE[3])
    z, y, x = BOXES[LESION]
    # The scan's z runs to the head: the picture's first row is the last slice.
    assert (front.image[::-1][z, x] == 9.0).all()
    assert (side.image[::-1][z, y] == 9.0).all()
    assert (front.image == 9.0).sum() == 4 * 3


def test_masks_of_a_projection_cover_what_was_called_so(run: SmallRun):
    front, _ = project(pixels_of(run, "t0"), 0, 0, CALLED)
    expected = np.zeros((SHAPE[2], SHAPE[4]), bool)
    expected[BOXES[DOUBT][0], BOXES[DOUBT][2]] = True
    assert np.array_equal(front.masks["doubt"], expected[::-1])
    assert front.spots[LESION].lesion == LESION_ID
    assert front.spots[DOUBT].lesion is None


@pytest.mark.parametrize("turn", ["head_first", "feet_first", "mirrored", "sagittal"])
def test_the_patient_stands_upright_whichever_way_the_scan_lies(tmp_path: Path, turn: str):
    run = build(tmp_path, sessions=1)
    matrix = Geometry.from_spacing(SHAPE[2:], SPACING).matrix.copy()
    if turn == "feet_first":
        matrix[:3, 2] *= -1
    if turn == "mirrored":
        matrix[:3, 0] *= -1
    if (
        turn == "sagittal"
    ):  # slices lie from right to left, rows from the feet up, columns to the back
        matrix[:3, :3] = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]]) * [4.0, 4.0, 5.0]
    write_scan(run, "t0", Geometry.from_matrix(SHAPE[2:], matrix))
    pixels = pixels_of(run, "t0")
    for view, (down, across) in zip(project(pixels, 0, 0, CALLED), ((2, 0), (2, 1)), strict=True):
        index = np.argwhere(view.image == 9.0).mean(axis=0)
        spacing = view.frame.spacing_mm
        corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(SHAPE[2:]) - 1)
        world = pixels.meta.geometry.to_world(corners.astype(float))
        box = np.array([[(b.start + b.stop - 1) / 2 for b in BOXES[LESION]]])
        x_y_z = pixels.meta.geometry.to_world(box)[0]
        assert index[0] * spacing[0] == pytest.approx(world[:, down].max() - x_y_z[down])
        assert index[1] * spacing[1] == pytest.approx(x_y_z[across] - world[:, across].min())
        assert view.spots[LESION].y == pytest.approx(index[0])


def test_both_views_of_every_session_are_told_in_words(shown: str):
    alts = re.findall(r'aria-label="([^"]*projection[^"]*)"', shown)
    assert len(alts) == 4
    assert all("1 lesion, 1 in doubt, 1 physiological" in a for a in alts)
    assert all(f"lesions numbered #{LESION_ID}" in a for a in alts)
    assert ">L</text>" in shown
    assert ">P</text>" in shown
    assert shown.count(">F</text>") == 4
    # Each session's pictures stand in a row of their own, under its name.
    assert re.findall(r'class="gallery-caption">([^<]*)<', shown) == [
        "Session t0, day 0.",
        "Session t1, day 30.",
    ]


def test_lesions_come_first_and_physiology_is_folded(shown: str):
    table = shown[shown.index("<table>") : shown.index("</table>")]
    assert table.index("lesion</span></td>") < table.index("in doubt</span></td>")
    assert "physiological</span></td>" not in table
    assert "1 physiological object of session t0" in shown
    assert "Nothing is deleted" in shown


def test_hostile_names_and_reasons_are_text(run: SmallRun, shown: str):
    assert EVIL not in run.page("sub-s01.html")
    assert html.escape(EVIL, quote=True).replace("&#x27;", "&#39;") in shown


def test_the_lines_that_overrule_are_configuration(run: SmallRun, shown: str):
    pre = re.search(r"<pre[^>]*>(.*?)</pre>", shown, re.DOTALL)
    assert pre is not None
    told = yaml.safe_load(html.unescape(pre[1]))
    whole = yaml.safe_load(run.storage.read_text("cohort.yaml"))
    whole["protocols"][PROTOCOL] |= told
    calls = CohortConfig.model_validate(whole).protocols[PROTOCOL].objects.calls
    assert [c.call for c in calls] == ["physiological", "lesion", "lesion"]
    row = object_row(LESION)
    at = (row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm)
    assert calls[0].at_mm == pytest.approx(at, abs=0.05)


def test_columns_that_say_nothing_are_left_out(shown: str):
    assert ">height" not in shown
    assert ">organ" not in shown
    assert ">reason" in shown


def test_without_pet_slices_are_shown_with_their_objects(tmp_path: Path):
    run = build(tmp_path, modality="MR", sessions=1)
    run.rows("objects", PROTOCOL, [object_row(n) for n in CALLED])
    write_report(str(run.root))
    shown = section(run.page("sub-s01.html"), "p0-objects")
    assert "projection" not in shown
    assert f"Slice {round((BOXES[LESION][0].start + BOXES[LESION][0].stop - 1) / 2)}," in shown


def test_a_session_without_any_object_is_shown_without_lesions(tmp_path: Path):
    run = build(tmp_path, sessions=1)
    run.rows("objects", PROTOCOL, [])
    write_report(str(run.root))
    shown = section(run.page("sub-s01.html"), "p0-objects")
    assert "no lesion" in shown
    assert "no object was called lesion" in shown
    assert "Overrule" not in shown


def test_an_old_run_without_objects_still_has_its_report(small_run: SmallRun, tmp_path: Path):
    root = tmp_path / "run"
    shutil.copytree(small_run.root, root)
    for table in ("objects", "burden"):
        shutil.rmtree(root / "tables" / table)
    write_report(str(root))
    page = SmallRun(root).page("sub-s01.html")
    assert "Nothing to show" in section(page, "p0-objects")
    assert "Nothing to show" in section(page, "p0-burden")
