import itertools

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.stages.reading import organs as anatomy
from somray.stages.reading.organs import open_organs, read_organs

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
NAMES = {5: "liver", 90: "brain"}


def ball(geometry, centre_mm, radius_mm):
    """A ball in the world, on any grid."""
    index = np.indices(geometry.shape).reshape(3, -1).T.astype(float)
    away = np.linalg.norm(geometry.to_world(index) - np.asarray(centre_mm), axis=1)
    return (away <= radius_mm).reshape(geometry.shape)


def grid(shape, spacing_xyz, origin, degrees=0.0):
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(spacing_xyz)
    matrix[:3, 3] = origin
    return Geometry.from_matrix(shape, matrix)


SCAN = grid((20, 24, 22), (4.0, 4.0, 5.0), (-44, -48, -50))
GRIDS = {
    "same": SCAN,
    "oblique": grid((45, 50, 40), (3.0, 2.5, 2.8), (-70, -60, -40), 20.0),
    "flipped": grid((40, 60, 50), (-2.0, -2.0, 3.0), (46, 58, -55)),
}


def organs_on(geometry):
    labels = np.zeros(geometry.shape, np.int16)
    labels[ball(geometry, (10, 5, -15), 20)] = 5
    labels[ball(geometry, (-12, -8, 20), 15)] = 90
    return labels


def save(path, geometry, labels, affine=True):
    matrix = TO_RAS @ geometry.matrix if affine else None
    nib.save(nib.Nifti1Image(labels.T, matrix), path)
    return str(path)


@pytest.mark.parametrize("name", GRIDS)
def test_organs_lie_where_they_lie_in_the_world(tmp_path, name):
    path = save(tmp_path / "m.nii.gz", GRIDS[name], organs_on(GRIDS[name]))
    with read_organs(path, SCAN, NAMES) as organs:
        found = organs.slab(0, 20)
        assert (found.dtype, organs.names) == (np.int32, NAMES)
    wanted = organs_on(SCAN)
    for value in NAMES:
        both = np.count_nonzero((found == value) & (wanted == value))
        dice = 2 * both / (np.count_nonzero(found == value) + np.count_nonzero(wanted == value))
        assert dice == 1.0 if name == "same" else dice > 0.93
        centre = np.array([ndimage.center_of_mass(found == value)])
        ideal = np.array([ndimage.center_of_mass(wanted == value)])
        away_mm = np.linalg.norm(SCAN.to_world(centre) - SCAN.to_world(ideal))
        assert away_mm < 0.6  # half a voxel off would be 2 mm or more


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("cuts", [(7,), (3, 4, 19)])
def test_slabs_cut_anywhere_make_the_whole(tmp_path, name, cuts):
    path = save(tmp_path / "m.nii.gz", GRIDS[name], organs_on(GRIDS[name]))
    ends = [0, *cuts, 20]
    with open_organs(path, SCAN, {}) as organs:
        whole = organs.slab(0, 20)
        parts = [organs.slab(a, b) for a, b in itertools.pairwise(ends)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_check_gives_the_same_verdict_in_small_steps(tmp_path, monkeypatch):
    path = save(tmp_path / "m.nii.gz", GRIDS["oblique"], organs_on(GRIDS["oblique"]))
    with open_organs(path, SCAN, {}) as organs:
        whole = organs.labelled_mm3(), anatomy._on_grid(organs, lambda a, b: organs.slab(a, b) == 5)
        monkeypatch.setattr(anatomy, "_STEP_VOXELS", 1)
        small = organs.labelled_mm3(), anatomy._on_grid(organs, lambda a, b: organs.slab(a, b) == 5)
    assert whole == small


def test_a_mask_without_a_place_of_the_scans_shape_was_drawn_on_the_scan(tmp_path):
    labels = organs_on(SCAN)
    with read_organs(save(tmp_path / "m.nii", SCAN, labels, affine=False), SCAN, {}) as organs:
        np.testing.assert_array_equal(organs.slab(0, 20), labels)


def test_a_folder_of_masks_is_read_as_one(tmp_path):
    own = GRIDS["flipped"]
    for value, name in NAMES.items():
        save(tmp_path / f"{name}.nii.gz", own, (organs_on(own) == value).astype(np.uint8))
    joined = tmp_path / "joined"
    joined.mkdir()
    path = save(joined / "m.nii.gz", own, organs_on(own))
    with read_organs(str(tmp_path), SCAN, {}) as parts, open_organs(path, SCAN, {}) as whole:
        numbers = np.array([0, 90, 5])  # by name: brain, liver
        np.testing.assert_array_equal(numbers[parts.slab(0, 20)], whole.slab(0, 20))


def moved(geometry, by_mm):
    matrix = geometry.matrix.copy()
    matrix[:3, 3] += by_mm
    return Geometry.from_matrix(geometry.shape, matrix)


def refusal(path, body=None):
    with pytest.raises(DataError) as caught:
        read_organs(path, SCAN, {}, body)
    assert caught.value.code == "anatomy_mismatch"
    return caught.value.message


def body_on(z0, z1):
    return ball(SCAN, (0, 0, 0), 35)[z0:z1]


def test_a_mask_outside_the_scan_is_refused_with_its_name_and_a_way_out(tmp_path):
    elsewhere = moved(SCAN, (0, 0, 400))
    path = save(tmp_path / "m.nii.gz", elsewhere, organs_on(SCAN))
    assert refusal(path) == (
        f"anatomy {path}: lies outside the scan; save the mask with the affine of the scan it was made from, "
        "or leave it out"
    )


def test_a_mask_that_only_touches_the_scan_is_refused(tmp_path):
    labels = organs_on(SCAN)
    top = np.flatnonzero(labels.any(axis=(1, 2))).max()
    elsewhere = moved(SCAN, (0, 0, -top * 5.0))  # the brain's top slice is the scan's lowest
    path = save(tmp_path / "m.nii.gz", elsewhere, labels)
    assert "ml of it lie in the scan" in refusal(path)


def test_a_mask_beside_the_body_is_refused(tmp_path):
    labels = np.zeros(SCAN.shape, np.int16)
    labels[:, :3] = 5  # the table under the patient
    path = save(tmp_path / "m.nii.gz", SCAN, labels)
    assert "ml of it lie in the body" in refusal(path, body_on)
    read_organs(path, SCAN, {}).close()


def test_a_mask_half_in_the_air_is_refused(tmp_path):
    path = save(tmp_path / "m.nii.gz", moved(SCAN, (45, 0, 0)), organs_on(SCAN))
    assert "% of its organs within the scan lie in the body" in refusal(path, body_on)


def test_an_empty_mask_is_refused(tmp_path):
    path = save(tmp_path / "m.nii.gz", SCAN, np.zeros(SCAN.shape, np.uint8))
    assert "holds no organ" in refusal(path)


def test_a_stack_of_organs_beside_one_volume_is_refused(tmp_path):
    path = save(tmp_path / "m.nii.gz", SCAN, np.stack([organs_on(SCAN)] * 3))
    with pytest.raises(DataError, match=r"\[anatomy_mismatch\] .*holds 3 volumes, the scan one"):
        read_organs(path, SCAN, {}, times=1)
    read_organs(path, SCAN, {}, times=3).close()


def test_a_whole_bodys_mask_fits_a_scan_of_a_part_and_a_small_organ_a_whole_body(tmp_path):
    wide = grid((200, 60, 60), (4.0, 4.0, 5.0), (-120, -120, -500))
    path = save(tmp_path / "wide.nii.gz", wide, np.full(wide.shape, 3, np.uint8))
    with read_organs(path, SCAN, {}, lambda a, b: np.ones((b - a, 24, 22), bool)) as organs:
        assert (organs.slab(0, SCAN.shape[0]) == 3).all()
    small = np.where(ball(SCAN, (0, 0, 0), 6), 5, 0).astype(np.uint8)
    with read_organs(save(tmp_path / "small.nii.gz", SCAN, small), SCAN, {}, body_on) as organs:
        assert np.array_equal(organs.slab(0, SCAN.shape[0]), small)


def test_files_are_closed_after_a_refusal(tmp_path, recwarn):
    path = save(tmp_path / "m.nii.gz", moved(SCAN, (0, 0, 400)), organs_on(SCAN))
    refusal(path)
    assert not [w for w in recwarn if issubclass(w.category, ResourceWarning)]
