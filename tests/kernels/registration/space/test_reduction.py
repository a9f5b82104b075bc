import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.registration.space import reduction
from somray.kernels.registration.space.reduction import MOST_VOXELS, VolumeReducer, reduction_for


def test_small_volumes_stay_as_they_are():
    assert reduction_for(Geometry.from_spacing((64, 128, 128), (3.0, 1.0, 1.0))) == (1, 1, 1)


@pytest.mark.parametrize("shape", [(1000, 512, 512), (60, 2048, 2048), (4000, 300, 300)])
def test_large_volumes_come_under_the_budget_about_as_fine_along_every_axis(shape):
    grid = Geometry.from_spacing(shape, (1.5, 0.7, 0.7))
    steps = np.array(reduction_for(grid))
    left = np.prod(np.array(shape) // steps)
    assert 0.4 * MOST_VOXELS < left <= MOST_VOXELS
    spacing = steps * np.array(grid.spacing_mm)
    assert spacing.max() <= 2.2 * spacing.min() or steps.min() == 1


def test_blocks_are_averaged_where_their_centres_lie(monkeypatch):
    monkeypatch.setattr(reduction, "MOST_VOXELS", 100)
    grid = Geometry.from_spacing((8, 11, 12), (2.0, 1.0, 1.0))
    z, y, x = np.indices(grid.shape).astype(np.float32)
    volume = 100 * z + 10 * y + x  # linear: a block's mean is its centre's value
    reducer = VolumeReducer(grid)
    for plane in volume:
        reducer.add(plane)
    small, onto = reducer.finish()
    assert small.shape == onto.shape
    assert small.size <= 100
    index = np.stack(np.indices(onto.shape), axis=-1).reshape(-1, 3).astype(float)
    there = grid.to_index(onto.to_world(index))
    assert small.ravel() == pytest.approx(there @ [100, 10, 1], abs=1e-4)


def test_missing_data_leaves_the_mean_of_the_rest(monkeypatch):
    monkeypatch.setattr(reduction, "MOST_VOXELS", 2)
    grid = Geometry.from_spacing((2, 2, 4), (1.0, 1.0, 1.0))
    volume = np.full((2, 2, 4), 5.0, dtype=np.float32)
    volume[:, :, 0] = np.nan
    volume[:, 0, 3] = np.nan
    volume[0, :, 2:] = np.nan
    reducer = VolumeReducer(grid)
    for plane in volume:
        reducer.add(plane)
    small, _ = reducer.finish()
    assert small.ravel()[0] == 5.0
    assert np.isnan(small.ravel()[1])  # three of its eight voxels are not half


def test_slices_that_do_not_fit_are_errors():
    grid = Geometry.from_spacing((2, 4, 4), (1.0, 1.0, 1.0))
    reducer = VolumeReducer(grid)
    with pytest.raises(ShapeError, match="none of"):
        reducer.add(np.zeros((4, 5)))
    reducer.add(np.zeros((4, 4)))
    with pytest.raises(ShapeError, match="1 slices of 2"):
        reducer.finish()
    reducer.add(np.zeros((4, 4)))
    with pytest.raises(ShapeError, match="none of"):
        reducer.add(np.zeros((4, 4)))
