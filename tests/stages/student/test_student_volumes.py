"""Volumes that a student of uptake learns from and predicts: on its own grid, in the scan's own unit."""

from dataclasses import replace

import numpy as np
import pytest

import somray
from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.student import StudentModel
from somray.io import models
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata as ome_metadata
from somray.io.ome.image import ScanMeta
from somray.io.storage import Storage
from somray.kernels.objects.grid import object_grid
from somray.kernels.objects.scan_rule import rule_for
from somray.kernels.objects.uptake.find import uptake_unit
from somray.kernels.student.network import new_unet, unet_weights
from somray.kernels.student.shape import NetworkShape
from somray.kernels.student.views import SOFT_HU
from somray.stages.reading.volume import ScanVolume, read_volumes
from somray.stages.segment import labels as groups
from somray.stages.segment.rows import BrickItem
from somray.stages.segment.student import run_student
from somray.stages.student import lessons as student_lessons
from somray.stages.student import volumes as module
from somray.stages.student.lessons import Asked, LessonScan, outward, read_lessons
from somray.stages.student.volumes import (
    TaughtVolume,
    near_planes,
    plane_lesson,
    taught_lesson,
    taught_volume,
    volume_chance,
)
from tests.kernels.objects.test_grid import geometry
from tests.slabs import read_label_slab, write_slab
from tests.student_fixtures import small_shape

RULE = rule_for("PETCT", ("CT", "PET"))
WINDOWS = ((-160.0, 240.0), (0.0, 1.0))


@pytest.fixture(scope="module")
def run(petct_run):
    return str(petct_run[0])


@pytest.fixture(scope="module")
def teacher(run):
    return models.read_teacher(Storage.at(run), "phantom-petct")


@pytest.fixture(scope="module")
def student():
    """An untrained student of PET/CT volumes that says target here and there."""
    shape = small_shape(3, inputs=5)
    weights = unet_weights(new_unet(shape, 3))
    weights["out.weight"] = 5 * weights["out.weight"]
    network = {**shape.as_numbers(), "kinds": "CT,PET"}
    return StudentModel(weights, network, ("CT", "PET"), WINDOWS)


def drawn_volume(shape=(18, 30, 26), spacing=(3.0, 2.0, 2.0), signs=(1, 1, 1), size=6.0):
    """A volume on a grid, as nobody stored it."""
    own = geometry(shape, spacing, signs)
    grid = object_grid(own, size, True)
    rng = np.random.default_rng(0)
    means = np.stack(
        [rng.normal(20, 30, grid.shape), rng.gamma(9, 0.1, grid.shape), np.zeros(grid.shape)]
    )
    meta = ScanMeta((1, 2, *shape), own, ("CT", "PET"), "HU,SUVbw", "d", anatomical=True)
    return ScanVolume(meta, grid, means.astype(np.float32))


def taught(seen, target=None):
    nothing = np.zeros(seen.grid.shape, np.float32)
    return TaughtVolume(seen, nothing if target is None else target, nothing + 1, WINDOWS)


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("z", [0, 7, 17])
def test_a_plane_is_the_block_mean_of_the_slices_mask_and_alone_counts(signs, z):
    seen = drawn_volume(signs=signs)
    rng = np.random.default_rng(z)
    mask, valid = rng.random((30, 26)) < 0.3, np.ones((30, 26), dtype=bool)
    valid[:6, :] = False
    lesson = plane_lesson(taught(seen), z, mask, valid)
    fz, fy, fx = seen.grid.factors
    expected = np.full(seen.grid.block_shape, np.nan)
    for y in range(expected.shape[1]):
        for x in range(expected.shape[2]):
            block = np.s_[y * fy : (y + 1) * fy, x * fx : (x + 1) * fx]
            if valid[block].any():
                expected[z // fz, y, x] = mask[block][valid[block]].mean()
    turned = seen.grid.turned(expected)
    np.testing.assert_array_equal(lesson.weight, np.isfinite(turned))
    np.testing.assert_allclose(lesson.target, np.nan_to_num(turned), atol=1e-6)
    np.testing.assert_array_equal(lesson.values, seen.means[:-1])
    assert not lesson.cohort


def test_planes_are_cut_to_what_lies_near_and_share_their_values(monkeypatch):
    monkeypatch.setattr(module, "PLANES_BESIDE", 2)
    seen = drawn_volume((60, 30, 26))
    mask, valid = np.ones((30, 26), dtype=bool), np.ones((30, 26), dtype=bool)
    whole = [plane_lesson(taught(seen), z, mask, valid) for z in (30, 32, 28)]
    cut = near_planes(whole)
    z = seen.grid.factors[0]
    first, last = 28 // z - 2, 32 // z + 3
    for one, other in zip(cut, whole, strict=True):
        assert one.values is cut[0].values
        np.testing.assert_array_equal(one.values, other.values[:, first:last])
        np.testing.assert_array_equal(one.target, other.target[first:last])
        assert one.weight.sum() == other.weight.sum()


def test_more_planes_are_kept_than_a_logit_sees():
    assert NetworkShape(3, 5).halo <= module.PLANES_BESIDE


def test_a_scan_that_is_too_large_teaches_the_part_round_its_lesions(monkeypatch):
    seen = drawn_volume((120, 30, 26))
    target = np.zeros(seen.grid.shape, np.float32)
    target[40:44, 3:6, 3:6] = 1
    whole = taught_lesson(taught(seen, target))
    assert whole.target.shape == seen.grid.shape
    monkeypatch.setattr(module, "MOST_VOXELS", 20 * target[0].size)
    lesson = taught_lesson(taught(seen, target))
    assert len(lesson.target) == 20
    assert lesson.target.sum() == target.sum()
    assert lesson.cohort
    at = (
        np.flatnonzero(target.any(axis=(1, 2)))[0]
        - np.flatnonzero(lesson.target.any(axis=(1, 2)))[0]
    )
    np.testing.assert_array_equal(lesson.values, seen.means[:-1, at : at + 20])


def test_what_was_not_scanned_is_cut_away_and_counts_nowhere():
    seen = drawn_volume()
    seen.means[1, :3] = np.nan
    seen.means[0, 5, 2, 2] = np.nan
    known = np.isfinite(seen.means[:-1]).all(axis=0).astype(np.float32)
    lesson = taught_lesson(replace(taught(seen), weight=known))
    assert lesson.target.shape == (seen.grid.shape[0] - 3, *seen.grid.shape[1:])
    assert (~lesson.known).sum() == 1


def test_the_cohort_is_taught_by_what_the_object_step_keeps(run, teacher):
    for subject in ("s01", "s02"):
        place = ScanPlace(run, subject, "t0")
        found = taught_volume(place, RULE, teacher.windows)
        labels = somray.open_run(run).scan(subject, "t0").objects.values[0]
        rows = somray.open_run(run).table("objects").query(f"subject == '{subject}'")
        lesions = rows[rows.called == "lesion"]
        spacing = found.seen.meta.geometry.spacing_mm
        drawn_mm3 = np.isin(labels, lesions.object_id).sum() * np.prod(spacing)
        taught_mm3 = found.target.sum() * np.prod(found.seen.grid.spacing_mm)
        assert taught_mm3 == pytest.approx(
            drawn_mm3, rel=0.15
        )  # the run's were cut anew by a student
        assert found.windows == (
            SOFT_HU,
            (0.0, uptake_unit(found.seen.means[:-1], RULE.kinds)),
        )
        assert (found.weight == 1).all()


def test_lessons_are_planes_of_the_reference_then_whole_scans(run, teacher):
    reference = LessonScan(ScanPlace(run, "s01", "t0"))
    cohort = (reference, LessonScan(ScanPlace(run, "s02", "t0")))
    lessons, chosen = read_lessons(Asked(reference, 7, 3, cohort, "lesion"), teacher)
    grid = taught_volume(reference.place, RULE, teacher.windows).seen.grid
    assert chosen == outward(7, 16, 3, grid.factors[0])
    assert [lesson.cohort for lesson in lessons] == [False] * 3 + [True] * 2
    labels = somray.open_run(run).scan("s01", "t0").som.values[0]
    for z, lesson in zip(chosen, lessons[:3], strict=False):
        assert lesson.values is lessons[0].values
        shown = (labels[z] == teacher.value_of("lesion")).mean()
        assert lesson.target.sum() / lesson.weight.sum() == pytest.approx(shown, abs=0.02)
    assert len({int(np.flatnonzero(le.weight.any(axis=(1, 2)))[0]) for le in lessons[:3]}) == 3


def test_the_cohorts_volumes_end_where_memory_does(run, teacher, monkeypatch):
    reference = LessonScan(ScanPlace(run, "s01", "t0"))
    one = taught_volume(reference.place, RULE, teacher.windows).target.size
    monkeypatch.setattr(student_lessons, "COHORT_VOXELS", 2 * one)
    lessons, _ = read_lessons(Asked(reference, 7, 1, (reference,) * 5, "lesion"), teacher)
    assert [lesson.cohort for lesson in lessons] == [False, True, True]


def test_a_scans_unit_of_uptake_changes_nothing(student):
    seen = drawn_volume()
    other = replace(seen, means=seen.means * np.array([1, 40, 1], np.float32)[:, None, None, None])
    first, second = (volume_chance(student, one, RULE) for one in (seen, other))
    assert first.shape == seen.grid.shape
    assert first.std() > 0.01
    np.testing.assert_allclose(first, second, atol=1e-4)


def stored(root, hole=True):
    """Write a scan of random uptake, part of it not scanned."""
    shape = (20, 24, 22)
    rng = np.random.default_rng(0)
    pet = rng.gamma(2, 1, shape).astype(np.float32)
    if hole:
        pet[:, :7] = np.nan
    values = np.stack([rng.normal(30, 40, shape).astype(np.float32), pet])
    meta = ScanMeta((1, 2, *shape), Geometry.from_spacing(shape, (3.0, 3.0, 3.0)), ("CT", "PET"),
                    "HU,SUVbw", "d", anatomical=True)  # fmt: skip
    storage, place = Storage.at(root), ScanPlace(str(root), "s", "t0")
    ome_zarr.create_scan(storage, place.name, meta)
    for z0, z1 in meta.slabs:
        write_slab(storage, place.name, 0, z0, values[:, z0:z1])
    ome_zarr.finish_scan(storage, place.name, meta)
    return place, values


def segmented(root, student):
    place, values = stored(root)
    for group in ("student", groups.CONFIDENCE):
        groups.open_labels(groups.LabelItem(place, group))
    item = BrickItem(place, "lesion", Brick.of_slices(0, 0, 20, (24, 22)), value=7, confidence=True)
    result = run_student(item, student)
    storage = Storage.at(place.root)
    drawn = [
        np.concatenate(
            [read_label_slab(storage, place.name, group, 0, z, z + 1) for z in range(20)]
        )
        for group in ("student", groups.CONFIDENCE)
    ]
    return result.rows["slices"], *drawn, values


def test_labels_do_not_depend_on_how_slabs_are_cut(student, tmp_path, monkeypatch):
    found = []
    for depth in (32, 8, 4):
        monkeypatch.setattr(ome_metadata, "MAX_SLAB_DEPTH", depth)
        found.append(segmented(tmp_path / str(depth), student))
    for other in found[1:]:
        assert other[0] == found[0][0]
        np.testing.assert_array_equal(other[1], found[0][1])
        np.testing.assert_array_equal(other[2], found[0][2])
    rows, labels, _, _ = found[0]
    assert [row.z for row in rows] == list(range(20))
    assert [row.target_fraction for row in rows] == pytest.approx(
        [(plane == 7).mean() for plane in labels]
    )


def test_labels_are_the_grids_probabilities_drawn_on_the_scans_pixels(student, tmp_path):
    _, labels, confidence, values = segmented(tmp_path, student)
    (seen,) = read_volumes(ScanPlace(str(tmp_path), "s", "t0"), (module.VOLUME_MM,), 0)
    chance = seen.grid.sampled(volume_chance(student, seen, RULE), 0, 20)
    known = ~np.isnan(values).any(axis=0)
    assert set(np.unique(labels)) == {0, 7}
    np.testing.assert_array_equal(labels == 7, (chance >= 0.5) & known)
    assert (confidence[~known] == 0).all()
    sure = 100 * np.maximum(chance, 1 - chance)
    np.testing.assert_allclose(confidence[known], sure[known], atol=0.51)
