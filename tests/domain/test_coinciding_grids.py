import numpy as np
import pytest

from somray.domain.geometry import Geometry


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e3])
def test_grids_coincide_to_a_hundredth_of_a_voxel_at_any_size(size):
    grid = Geometry.from_spacing((5, 6, 7), (2 * size, size, size))
    assert grid.coincides(Geometry.from_spacing((5, 6, 7), (2 * size * (1 + 1e-6), size, size)))
    for matrix in (
        np.diag([size, size, 2.02 * size, 1.0]),
        np.array([[size, 0, 0, 0.05 * size], [0, size, 0, 0], [0, 0, 2 * size, 0], [0, 0, 0, 1.0]]),
        np.diag([-size, size, 2 * size, 1.0]),
    ):
        assert not grid.coincides(Geometry.from_matrix((5, 6, 7), matrix))
    assert not grid.coincides(Geometry.from_spacing((5, 6, 8), (2 * size, size, size)))
