import numpy as np

from somray.domain.geometry import Geometry
from somray.kernels.grids.index_map import index_map, linear_part, slice_coordinates
from tests.kernels.registration.known_motion import rigid

SOURCE = Geometry.from_matrix(
    (9, 11, 13),
    np.array([[0.0, -1.5, 0.2, 8.0], [1.2, 0.1, 0.0, -3.0], [0.0, 0.3, 2.5, 4.0], [0, 0, 0, 1.0]]),
)
TARGET = Geometry.from_spacing((7, 8, 10), (3.0, 1.1, 0.9))
MOTION = rigid(TARGET, (4, -7, 12), (3.0, -5.0, 2.0))


def through_the_world(index_zyx):
    world = TARGET.to_world(np.asarray(index_zyx, dtype=np.float64))
    return SOURCE.to_index(world @ MOTION[:3, :3].T + MOTION[:3, 3])


def test_an_index_map_is_the_way_through_the_world():
    index = index_map(SOURCE, TARGET, MOTION)
    points = np.random.default_rng(0).uniform(0, 9, (20, 3))
    mapped = np.column_stack([points, np.ones(20)]) @ index.T
    np.testing.assert_allclose(mapped[:, :3], through_the_world(points), atol=1e-9)
    matrix, offset = linear_part(index)
    np.testing.assert_allclose(points @ matrix.T + offset, mapped[:, :3], atol=1e-12)


def test_maps_there_and_back_are_inverse_and_a_grid_lies_on_itself():
    there, back = index_map(SOURCE, TARGET), index_map(TARGET, SOURCE)
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-9)
    np.testing.assert_allclose(index_map(SOURCE, SOURCE), np.eye(4), atol=1e-12)


def test_coordinates_of_a_part_of_a_slice_are_those_of_its_pixels():
    at = slice_coordinates(index_map(SOURCE, TARGET, MOTION), 5, slice(2, 4), slice(3, 6))
    pixels = [(5, y, x) for y in (2, 3) for x in (3, 4, 5)]
    np.testing.assert_allclose(at.reshape(3, -1).T, through_the_world(pixels), atol=1e-9)
