"""Foreign masks onto a scan's grid, whatever grid they come on; images carried from run to run."""

import os

import nibabel
import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.tables import ScanRow
from somray.errors import DataError
from somray.io.ome.image import is_complete, labels_complete, read_meta
from somray.io.storage import Storage
from somray.stages.foreign.carry import carry_image
from somray.stages.foreign.take import FOREIGN, TakeItem, take
from somray.stages.foreign.volume import ForeignMask, MaskPart
from tests.slabs import read_label_slab
from tests.stages.stored import store

SHAPE = (12, 30, 40)
GRID = Geometry.from_spacing(SHAPE, (2.0, 0.8, 0.8))
ROW = ScanRow("s", "t0", "in.nii", 1, 1, *SHAPE, 2.0, 0.8, 0.8, "CT", "HU", None, None, "done")


def ball(grid, centre_mm=(16.0, 12.0, 11.0), radius_mm=6.0, value=1):
    """Draw a ball at (x, y, z) mm on any grid, (z, y, x)."""
    places = grid.to_world(np.indices(grid.shape).reshape(3, -1).T.astype(float))
    near = np.linalg.norm(places - centre_mm, axis=1) < radius_mm
    return near.reshape(grid.shape) * value


def save(path, labels, grid):
    volume = labels if labels.ndim == 3 else np.moveaxis(labels, 0, -1)
    turned = volume.T if labels.ndim == 3 else np.moveaxis(volume, (0, 1, 2), (2, 1, 0))
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.matrix
    nibabel.save(nibabel.Nifti1Image(turned.astype(np.int16), matrix), path)
    return str(path)


def on_grid(*parts, numbered=False, times=1):
    mask = ForeignMask(parts, GRID, 0, times)
    try:
        slabs = [mask.slab(z0, min(z0 + 5, 12), numbered=numbered) for z0 in range(0, 12, 5)]
        return np.concatenate(slabs), mask.drawn_mm3(sum(map(np.count_nonzero, slabs)))
    finally:
        mask.close()


def changed(spacing_mm, flips, shape, origin_mm):
    """Make a grid with its axes turned about, covering the scan."""
    matrix = np.diag([spacing_mm[2], spacing_mm[1], spacing_mm[0], 1.0])
    matrix[:3, 3] = origin_mm
    for axis in flips:  # x, y, z: counted from the other end
        matrix[:3, 3] += matrix[:3, axis] * (shape[2 - axis] - 1)
        matrix[:3, axis] *= -1
    return Geometry.from_matrix(shape, matrix)


@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_flipped_axes_give_the_same_voxels(tmp_path, flips):
    other = changed((2.0, 0.8, 0.8), flips, SHAPE, (0, 0, 0))
    path = save(tmp_path / "m.nii.gz", ball(other, value=4), other)
    labels, _ = on_grid(MaskPart(path), numbered=True)
    assert np.array_equal(labels, ball(GRID, value=4))


@pytest.mark.parametrize(
    ("spacing_mm", "shape", "origin_mm"),
    [
        ((1.0, 0.5, 0.5), (24, 50, 66), (-0.4, -0.4, -0.7)),  # finer, and shifted
        ((2.5, 1.1, 1.1), (12, 24, 32), (0.3, -0.2, -1.1)),  # coarser
        ((2.0, 0.8, 0.8), (8, 24, 34), (0.8, 0.8, 4.0)),  # cut out
    ],
)
def test_another_grid_gives_the_same_volume_within_voxels(tmp_path, spacing_mm, shape, origin_mm):
    other = changed(spacing_mm, (1,), shape, origin_mm)
    labels, (drawn, inside) = on_grid(MaskPart(save(tmp_path / "m.nii", ball(other), other)))
    expected = np.count_nonzero(ball(GRID)) * GRID.voxel_mm3
    assert np.count_nonzero(labels) * GRID.voxel_mm3 == pytest.approx(expected, rel=0.08)
    assert drawn == pytest.approx(inside, rel=0.08)


def test_labels_that_count_and_files_that_join(tmp_path):
    two = ball(GRID, value=3) + ball(GRID, (26.0, 18.0, 11.0), 4.0, value=7)
    one = save(tmp_path / "two.nii.gz", two, GRID)
    other = save(tmp_path / "third.nii.gz", ball(GRID, (6.0, 5.0, 18.0), 3.0), GRID)
    assert np.array_equal(on_grid(MaskPart(one, (7,)), numbered=True)[0], np.where(two == 7, 7, 0))
    assert np.array_equal(on_grid(MaskPart(one, (3, 7)))[0], two > 0)
    joined = on_grid(MaskPart(one), MaskPart(other), numbered=True)[0]
    assert set(np.unique(joined)) == {0, 1, 2}  # each file one instance
    assert np.array_equal(joined == 1, two > 0)


@pytest.mark.parametrize("is_one_file", [True, False])
def test_masks_in_time_are_one_file_or_one_a_time_point(tmp_path, is_one_file):
    """As `export` writes them, and as nnU-Net's cases."""
    later = ball(GRID, (26.0, 18.0, 11.0), 4.0)
    if is_one_file:
        parts = [MaskPart(save(tmp_path / "t.nii.gz", np.stack([ball(GRID), later]), GRID))]
    else:
        files = enumerate((ball(GRID), later))
        parts = [MaskPart(save(tmp_path / f"t{t}.nii.gz", m, GRID), t=t) for t, m in files]
    for t, expected in enumerate((ball(GRID), later)):
        mask = ForeignMask(parts, GRID, t, 2)
        assert np.array_equal(mask.slab(0, 12, numbered=False), expected)
        mask.close()


def elsewhere(tmp_path):
    far = changed((2.0, 0.8, 0.8), (), SHAPE, (500.0, 0, 0))
    return save(tmp_path / "far.nii", ball(far, (516.0, 12.0, 11.0)), far)


def mostly_outside(tmp_path):
    near = changed((2.0, 0.8, 0.8), (), SHAPE, (29.0, 0, 0))
    return save(tmp_path / "near.nii", ball(near, (35.0, 12.0, 11.0)), near)


def fractions(tmp_path):
    path = tmp_path / "p.nii"
    nibabel.save(nibabel.Nifti1Image(np.full(SHAPE[::-1], 0.5, np.float32), np.eye(4)), path)
    return str(path)


def grey(tmp_path):
    values = np.random.default_rng(0).normal(0, 400, GRID.shape)
    return save(tmp_path / "g.nii", values.round().astype(np.int16), GRID)


def in_time(tmp_path):
    return save(tmp_path / "t.nii", np.stack([ball(GRID)] * 2), GRID)


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (elsewhere, "mask_mismatch", "lies outside the scan"),
        (mostly_outside, "mask_mismatch", "of it lie in the scan"),
        (fractions, "unreadable", "no whole numbers"),
        (grey, "unreadable", "negative values, from -.* as images do"),
        (in_time, "mask_mismatch", "holds 2 volumes, the scan 1"),
    ],
)
def test_what_is_not_the_scans_leaves_nothing_behind(tmp_path, make, code, message):
    place = store(tmp_path / "run", np.zeros(SHAPE, np.float32), GRID)
    item = TakeItem(
        ScanPlace(str(tmp_path / "out"), "s", "t0"),
        place.root,
        ROW,
        (MaskPart(make(tmp_path)),),
        "x",
    )
    with pytest.raises(DataError, match=message) as told:
        take(item)
    assert told.value.code == code
    assert not (tmp_path / "out" / place.name).exists()


def test_a_scan_is_linked_and_its_mask_drawn(tmp_path):
    place = store(
        tmp_path / "run",
        np.random.default_rng(0).normal(size=SHAPE),
        GRID,
        labels={"som": ball(GRID)},
    )
    out = ScanPlace(str(tmp_path / "out"), "s", "t0")
    path = save(tmp_path / "m.nii.gz", ball(GRID, value=5), GRID)
    found = take(TakeItem(out, place.root, ROW, (MaskPart(path),), "lesion", numbered=True))
    storage = Storage.at(out.root)
    assert found.value["voxels"] == np.count_nonzero(ball(GRID))
    assert found.value["numbers"] == [[5]]
    assert sum(row.target_area_mm2 for row in found.rows["slices"]) == pytest.approx(
        found.value["voxels"] * 0.64
    )
    assert read_meta(storage, out.name) == read_meta(Storage.at(place.root), place.name)
    assert not (tmp_path / "out" / out.name / "labels/som").exists()  # not what was measured
    drawn = read_label_slab(storage, out.name, FOREIGN, 0, 0, 12)
    assert np.array_equal(drawn, ball(GRID))
    shards = [f for f in (tmp_path / "out" / out.name / "0").rglob("*") if f.is_file()]
    assert shards
    assert all(os.stat(f).st_nlink == 2 for f in shards)  # no second copy of the image
    again = take(TakeItem(out, place.root, ROW, (MaskPart(path),), "lesion", numbered=True))
    assert again == found


def test_images_are_copied_to_and_from_object_stores(tmp_path):
    place = store(tmp_path / "run", np.ones(SHAPE), GRID, labels={"som": ball(GRID)})
    source, bucket = Storage.at(tmp_path / "run"), Storage.at("memory://measured")
    carry_image(source, bucket, place.name, ("som",))
    assert is_complete(bucket, place.name)
    assert labels_complete(bucket, place.name, "som")
    back = Storage.at(tmp_path / "back")
    carry_image(bucket, back, place.name)
    assert is_complete(back, place.name)
    assert not labels_complete(back, place.name, "som")
    files = [
        f.relative_to(tmp_path / "back") for f in (tmp_path / "back").rglob("*") if f.is_file()
    ]
    assert files
    assert all(
        (tmp_path / "back" / f).read_bytes() == (tmp_path / "run" / f).read_bytes() for f in files
    )
