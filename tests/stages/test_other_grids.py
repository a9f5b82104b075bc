"""A PET on any grid arrives on the CT's as SimpleITK's linear resampling has it, and NaN where it does not reach."""

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.errors import DataError
from somray.io.ome.image import read_slab
from somray.io.storage import Storage
from somray.stages.ingest import IngestItem, run
from tests.pipeline.tiny import body

NAME = RunLayout.scan("s", "t0")
SHAPE = (10, 40, 36)


def rotated(about_z, about_x=0.0):
    """Return a direction of two turns (row-major)."""
    c, s, d, e = np.cos(about_z), np.sin(about_z), np.cos(about_x), np.sin(about_x)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array(
        [[1, 0, 0], [0, d, -e], [0, e, d]]
    )
    return tuple(turn.ravel())


FLIPPED = (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0)
UPSIDE_DOWN = (1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0)
SAGITTAL = (0.0, 0, 1.0, 1.0, 0, 0, 0, 1.0, 0)
PETS = {
    "coarser": ((14, 16, 14), (3.1, 2.9, 2.5), (-23, -22, 97), rotated(0)),
    "finer": ((60, 70, 64), (0.7, 0.7, 0.6), (-22, -22, 98), rotated(0)),
    "larger": ((20, 30, 30), (4.0, 4.0, 3.0), (-60, -60, 85), rotated(0)),
    "smaller": ((8, 9, 9), (1.5, 1.6, 1.4), (-6, -7, 106), rotated(0)),
    "half": ((5, 16, 14), (3.1, 2.9, 2.5), (-23, -22, 99), rotated(0)),
    "flipped": ((14, 18, 18), (2.9, 2.9, 2.5), (22, 21, 97), FLIPPED),
    "upside down": ((14, 18, 18), (2.9, 2.9, 2.5), (-24, -24, 131), UPSIDE_DOWN),
    "sagittal": ((18, 18, 14), (2.5, 2.5, 2.5), (-22, -22, 97), SAGITTAL),
    "oblique": ((16, 20, 20), (2.9, 2.9, 2.5), (-30, -22, 95), rotated(0.12, 0.2)),
    "the CT's own": ((10, 40, 36), (1.0, 1.0, 3.0), (-18, -20, 100), rotated(0)),
    "shifted by half a voxel": ((10, 40, 36), (1.0, 1.0, 3.0), (-17.5, -19.5, 101.5), rotated(0)),
}


def image(values, spacing, origin, direction):
    made = sitk.GetImageFromArray(values)
    made.SetSpacing(spacing)
    made.SetOrigin([float(v) for v in origin])
    made.SetDirection(direction)
    return made


def uptake(shape):
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(float)
    hot = 5000 * np.exp(
        -((x - shape[2] / 2) ** 2 + (y - shape[1] / 3) ** 2 + (z - shape[0] / 2) ** 2) / 9
    )
    return (1000 + 40 * x + 25 * y + 10 * z + hot).astype(np.float32)


def ingest(folder, *images, end="nii.gz"):
    paths = []
    for n, one in enumerate(images):
        paths.append(str(folder / f"{n}.{end}"))
        sitk.WriteImage(one, paths[-1])
    item = IngestItem(
        root=str(folder / "run"), scan=Scan("s", "t0", "p", tuple(paths), paths[0]), modality="PETCT",
        channels=("CT", "PET"), windows=(None, None), irregular="refuse", repair_fraction=0.01,
    )  # fmt: skip
    result = run(item)
    return result, read_slab(Storage.at(item.root), NAME, 0, 0, SHAPE[0])


CT = image(body(SHAPE), (1.0, 1.0, 3.0), (-18, -20, 100), rotated(0))


@pytest.mark.parametrize("kind", PETS)
@pytest.mark.parametrize("end", ["nii.gz", "mha"])
def test_the_pet_equals_simpleitks_resampling_where_it_reaches(kind, end, tmp_path):
    shape, spacing, origin, direction = PETS[kind]
    pet = image(uptake(shape), spacing, origin, direction)
    _, found = ingest(tmp_path, CT, pet, end=end)
    linear = sitk.Resample(pet, CT, sitk.Transform(), sitk.sitkLinear, float("nan"))
    expected = sitk.GetArrayFromImage(linear)
    known = np.isfinite(expected)
    assert known.any()
    np.testing.assert_array_equal(found[0], body(SHAPE))
    np.testing.assert_allclose(found[1][known], expected[known], rtol=2e-5, atol=1e-2)
    assert (np.isfinite(found[1]) != known).mean() < 0.01  # rounding at the border


def test_nan_marks_what_the_pet_does_not_cover_and_is_no_damage(tmp_path):
    shape, spacing, origin, direction = PETS["half"]
    result, found = ingest(tmp_path, CT, image(uptake(shape), spacing, origin, direction))
    assert np.isnan(found[1][-4:]).all()
    assert np.isfinite(found[1][:4, 5:30, 5:30]).all()
    assert result.rows["scans"][0].repairs is None


def test_a_pet_of_another_place_or_another_number_of_times_is_refused(tmp_path):
    far = image(uptake((8, 9, 9)), (2.0, 2.0, 2.0), (500, 0, 100), rotated(0))
    with pytest.raises(DataError, match="field of view") as caught:
        ingest(tmp_path, CT, far)
    assert caught.value.code == "channel_mismatch"
    twice = sitk.JoinSeries(
        [image(uptake(SHAPE), (1.0, 1.0, 3.0), (-18, -20, 100), rotated(0))] * 2
    )
    with pytest.raises(DataError, match="time points") as caught:
        ingest(tmp_path, CT, twice)
    assert caught.value.code == "channel_mismatch"
