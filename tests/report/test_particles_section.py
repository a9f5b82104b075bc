"""What material scientists ask of pores: sizes, porosity, form, direction, distances, on the page."""

import re

import numpy as np
import pandas as pd
import pytest

from somray.report.data import Particles, ReportData, SubjectData, SubjectLesions
from somray.report.drawing.scales import LengthUnit, length_unit, runs, volume_unit
from somray.report.figures.forms import direction_density, direction_map, sphericity_by_size
from somray.report.figures.outlines import lesion_pictures
from somray.report.figures.particles import (
    changes_by_size,
    nearest_distances,
    porosity_along_axes,
    size_distribution,
)
from somray.report.sections.particles import _porosity, particles_section

from .pores_run import PROTOCOL, SESSIONS, build, pores_mask

MM = LengthUnit("mm", 1.0)
PORES = 90


@pytest.fixture(scope="module")
def pores(tmp_path_factory):
    return build(tmp_path_factory.mktemp("pores"), PORES)


@pytest.fixture(scope="module")
def section(pores):
    (found,) = section_of(pores)
    return found


def section_of(run):
    subject = SubjectData(ReportData(str(run.root)), PROTOCOL, "s01")
    return particles_section(subject, SubjectLesions(subject), "p0")


def pictures_of(section):
    return [p for block in section.blocks for p in getattr(block, "pictures", ())]


def particles(count=4, **columns):
    rows = {"volume_mm3": np.arange(1.0, count + 1), **columns}
    return Particles.of(pd.DataFrame(rows))


def test_the_summary_tells_percentiles_of_the_table_and_both_porosities(pores, section):
    frame = ReportData(str(pores.root)).table("lesions")
    table = section.blocks[0]
    heads = [h.label for h in table.headings]
    row = dict(zip(heads, (c.text for c in table.rows[0]), strict=True))
    sizes = frame[frame["session"] == "t0"]["equivalent_diameter_mm"]
    assert float(row["D50 by number"]) == pytest.approx(
        1000 * sizes.quantile(0.5, "lower"), abs=0.01
    )
    assert float(row["D50 by volume"]) > float(row["D50 by number"])
    assert row["lesions"] == str(PORES)
    assert row["at the border"] == "2"
    assert float(row["share of the sample"]) == pytest.approx(
        float(row["share of the volume"]) / 0.8, rel=0.01
    )
    assert {h.unit for h in table.headings} == {"", "µm", "%"}


def test_every_figure_says_what_it_shows_of_how_many(section):
    pictures = pictures_of(section)
    assert len(pictures) == 8 + 8  # charts and maps, then lesions one by one
    for picture in pictures:
        assert picture.caption.endswith(".")
        assert len(re.search(r'aria-label="([^"]+)"', picture.markup)[1]) > 20
    captions = " ".join(p.caption for p in pictures)
    assert f"All {2 * PORES} lesions of 2 sessions" in captions
    assert f"{PORES} of {PORES} lesions; small ones are coarse" in captions
    assert f"{PORES * 9 // 10} of {PORES} lesions (" in captions
    assert f"{PORES} of {PORES} rows of evolution" in captions
    assert "of the sample (what the map calls neither no data nor background" in captions


def test_porosity_is_of_the_whole_volume_where_a_session_knows_no_sample(pores):
    frame = ReportData(str(pores.root)).table("porosity")
    frame.loc[frame["session"] == "t1", ["sample_voxels", "sample_fraction"]] = np.nan
    found = dict.fromkeys(SESSIONS, particles())
    (gallery,) = _porosity(found, frame, False, "p0")
    (picture,) = gallery.pictures
    assert "of the whole volume (the map finds no background" in picture.caption
    assert "Share of the whole volume" in picture.markup
    assert not list(_porosity(found, frame[:0], False, "p0"))


def test_a_run_without_lesions_or_of_an_earlier_version_has_a_page(tmp_path):
    run = build(tmp_path, 0)
    (section,) = section_of(run)
    assert "no lesion was found" in section.blocks[0].text
    old = particles()
    assert np.isnan(old.sphericity).all()
    assert not old.touches_border.any()
    assert sphericity_by_size(old, MM, "session a", "f") is None
    assert direction_map(old, "session a", "f") is None
    assert nearest_distances({"a": old}, MM, "f") is None
    assert "a 4 lesions" in size_distribution({"a": old}, MM, "f")


def test_directions_about_z_are_densest_in_the_middle_and_at_the_rim_on_both_sides():
    up = np.tile([0.0, 0.0, 1.0], (50, 1))
    density = direction_density(up, np.ones(50))
    middle = len(density) // 2
    assert np.nanargmax(density) == np.ravel_multi_index((middle, middle), density.shape)
    flat = direction_density(np.tile([1.0, 0.0, 0.0], (50, 1)), np.ones(50))
    assert flat[middle, -1] == pytest.approx(flat[middle, 0])
    assert flat[middle, -1] > 10 * flat[middle, middle]
    assert np.isnan(flat[0, 0])


def test_evenly_spread_directions_are_once_as_dense_everywhere():
    vectors = np.random.default_rng(0).normal(size=(40_000, 3))
    vectors *= np.where(vectors[:, 2:] < 0, -1, 1) / np.linalg.norm(vectors, axis=1, keepdims=True)
    density = direction_density(vectors, np.ones(len(vectors)))
    assert np.nanmax(np.abs(density - 1)) < 0.15


def test_a_heavy_lesion_weighs_more_than_many_light_ones():
    vectors = np.array([[0.0, 0.0, 1.0], *[[0.0, 1.0, 0.0]] * 9])
    density = direction_density(vectors, np.array([90.0] + [1.0] * 9))
    middle = len(density) // 2
    assert density[middle, middle] > 5 * density[-1, middle]


def test_kinds_of_change_are_stacked_by_size_and_what_is_open_is_hatched():
    kinds = np.array(["new", "stable", "", "resolved"], dtype=object)
    drawn = changes_by_size(np.array([0.1, 0.1, 0.5, 2.0]), kinds, MM, "c")
    assert "1 new, 1 stable, 1 resolved, 1 left open" in drawn
    assert ">left open<" in drawn


def test_porosity_is_pooled_over_many_planes_and_not_thinned_out():
    planes = 1000
    rows = pd.DataFrame({
        "axis": ["z"] * planes + ["y", "x"], "index": [*range(planes), 0, 0],
        "position_mm": [*map(float, range(planes)), 0.0, 0.0], "voxels": [10] * planes + [10, 10],
        "lesion_voxels": [5 * (n % 5 == 1) for n in range(planes)] + [1, 1],
    })  # fmt: skip
    drawn = porosity_along_axes({"a": rows}, "voxels", MM, "p")
    assert "a 10.00 % in all" in drawn
    assert len(drawn) < 40_000


def test_units_follow_the_sizes_of_things():
    assert length_unit(np.array([0.02, np.nan])) == LengthUnit("µm", 1000.0)
    assert length_unit(np.array([3.0])).name == "mm"
    assert length_unit(np.array([0.02]), is_assumed=True).name == "px"
    assert [volume_unit(v)[0] for v in (5000.0, 0.2, 0.02, 1e-6)] == ["ml", "mm³", "µm³", "µm³"]
    assert runs(3).tolist() == [0, 1, 2, 3]
    assert runs(0).tolist() == [0]
    assert len(runs(100_000)) == 201


def test_lesions_pictured_one_by_one_are_the_largest_and_a_sample_of_the_rest(pores):
    found = SubjectLesions(SubjectData(ReportData(str(pores.root)), PROTOCOL, "s01"))
    volumes = found.particles("t1").volume_mm3
    rank = np.sort(volumes)[::-1].tolist()
    places = [rank.index(r["volume_mm3"]) for r in found.sample("t1", 4, 4)]
    assert places[:4] == [0, 1, 2, 3]
    assert places == sorted(places)
    assert len(places) == 8
    assert max(np.diff(places)) < 25
    assert len(found.sample("t1", PORES, 4)) == PORES
    assert found.sample("nowhere", 4, 4) == []


def test_a_lesion_is_pictured_in_the_slice_through_its_centroid(pores):
    pixels = ReportData(str(pores.root)).scan("s01", "t0")
    labels = pores_mask((6, 40, 48), 0)
    z, y, x = (float(v.mean()) for v in np.nonzero(labels == 1))
    row = {"lesion_id": 1, "longest_axis_mm": 0.05, "centroid_z_mm": z * 0.01,
           "centroid_y_mm": y * 0.01, "centroid_x_mm": x * 0.01}  # fmt: skip
    (picture,) = lesion_pictures(pixels, [row], "session t0")
    height = round(z)
    here = np.count_nonzero(labels[height] == 1)
    assert picture.caption == (
        f"Lesion #1, session t0, slice {height}, grey values 0 to 255: {here} pixels of it here."
    )
    assert 'class="outline"' in picture.markup
    assert lesion_pictures(pixels, [], "session t0") == []
