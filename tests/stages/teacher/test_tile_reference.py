"""A reference whose slices are cut into tiles is fitted as a fold over them."""

import numpy as np
import pytest

from somray.domain.work import Mapper
from somray.errors import DataError
from somray.io import models
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.kernels.features.view import ScanSlices, stacks
from somray.kernels.noise.denoise import reference_noise
from somray.kernels.teacher.fit import TeacherSpec
from somray.stages.reading.reference import most_worthwhile, read_coarse, sample_tiles
from somray.stages.teacher import cohort
from somray.stages.teacher import fit as teacher
from tests.stages.stored import pores, store_bricks

SHAPE = (5, 70, 101)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "COARSEST_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 64 * 64 * 4)
    return store_bricks(tmp_path, holed())


def holed():
    image = pores(SHAPE, seed=3)
    image[2, 50:66, 60:70] = np.nan
    return image


def mapper():
    return Mapper(lambda function, items, shared, needs: [function(i, shared) for i in items])


def fitted(place, slices=None, **settings):
    spec = TeacherSpec("XCT", ("XCT",), epochs=2, **settings)
    scans = (teacher.ReferenceScan(place, slices),)
    item = teacher.TeacherItem("p", spec, scans, is_cut=True)
    result = teacher.run(item, mapper())
    return result, models.read_teacher(Storage.at(place.root), "p")


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_codebook_is_that_of_a_fold_over_the_same_parts_of_the_whole_slice(
    place, monkeypatch, dimensions
):
    chosen = (1, 2) if dimensions == 2 else (2,)
    result, model = fitted(place, chosen, dimensions=dimensions)
    assert result.value["slices"] == list(chosen)

    def cropped(part, view):
        volume, z, (y0, y1, x0, x1) = holed(), part.slices[0], part.box
        images, near = volume[:, None], (z, len(volume) - z - 1)
        seen = ScanSlices(images, (0.8, 0.8), None, near, 0.8)
        (stack,) = stacks(view, seen)
        known = np.isfinite(volume[z, y0:y1, x0:x1])
        yield stack[:, y0:y1, x0:x1][:, known]

    monkeypatch.setattr(cohort, "raw_features", cropped)
    expected, other = fitted(place, chosen, dimensions=dimensions)
    assert np.array_equal(model.codebook.weights, other.codebook.weights)
    assert model.extra == other.extra
    assert result.rows == expected.rows
    whole = holed()[list(chosen), None]
    assert model.noise == reference_noise(whole, model.windows, ("XCT",))


def test_windows_come_from_the_scans_own_pixels_and_the_slice_from_the_pyramid(place):
    result, model = fitted(place)
    (z,) = result.value["slices"]
    assert (z, "") == most_worthwhile(place, "XCT", model.windows, ("XCT",))
    low, high = np.nanpercentile(sample_tiles(place, 16, 4), (0.5, 99.5))
    assert model.windows == ((low, high),)
    own = np.nanpercentile(holed(), (0.5, 99.5))
    assert abs(np.array(model.windows[0]) - own).max() < 5
    assert read_coarse(place, (z,)).shape == (1, 1, 35, 51)


def test_what_cannot_be_fitted_tile_by_tile_is_refused(place):
    with pytest.raises(DataError, match="in memory only"):
        fitted(place, (1,), engine="minisom")
    with pytest.raises(DataError, match="does not exist"):
        fitted(place, (99,))
