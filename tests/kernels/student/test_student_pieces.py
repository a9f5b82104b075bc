"""Parts of slices: the bits of whole slices, and no dependence on the parts that are asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student import predict as module
from somray.kernels.student.network import new_unet, unet_weights
from somray.kernels.student.pieces import SlicePart, predict_part, read_halo
from somray.kernels.student.predict import predict_student
from somray.kernels.student.shape import NetworkShape
from somray.kernels.student.spacing import at_shape, part_at, shape_at, source_span
from tests.student_fixtures import VIEWS, WINDOW, hu_image

SIDE = 32


@pytest.fixture(scope="module")
def student():
    """An untrained student of CT slices of 1 mm that says target here and there."""
    shape = NetworkShape(2, VIEWS.count, widths=(4, 8))
    weights = unet_weights(new_unet(shape, 1))
    weights["out.weight"] = 5 * weights["out.weight"]
    network = {**shape.as_numbers(), "kinds": "CT"}
    return StudentModel(weights, network, ("CT",), (WINDOW,), spacing_mm=(1.0, 1.0))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setitem(module.TILES, 2, SIDE)


def slices_of(shape, holes=True):
    images = np.stack([hu_image(shape, noise=40.0, seed=n)[0] for n in range(2)])
    if holes:
        images[0, 0, 5:9, 20:50] = np.nan
        images[1, 0, -3:] = np.nan
    return images


def by_parts(student, images, spacing, side):
    """Predict part by part, as bricks are read: each with what is looked at beside it."""
    shape = images.shape[2:]
    halo = read_halo(student, shape, spacing)
    found = np.full((len(images), *shape), np.nan, dtype=np.float32)
    spans = [[(a, min(a + side, size)) for a in range(0, size, side)] for size in shape]
    for rows in spans[0]:
        for columns in spans[1]:
            seen = [
                slice(max(0, a - more), min(size, b + more))
                for (a, b), more, size in zip((rows, columns), halo, shape, strict=True)
            ]
            part = SlicePart(shape, spacing, rows, columns, (seen[0].start, seen[1].start))
            chance = predict_part(student, images[:, :, seen[0], seen[1]], part)
            found[:, slice(*rows), slice(*columns)] = chance
    return found


@settings(max_examples=5, deadline=None)
@given(rows=st.integers(1, 110), columns=st.integers(33, 110), blocks=st.integers(1, 3))
def test_parts_have_the_bits_of_whole_slices(student, rows, columns, blocks):
    images = slices_of((rows, columns), holes=rows > 10)
    whole = predict_student(student, images)
    assert whole.std() > 1e-3
    found = by_parts(student, images, (1.0, 1.0), blocks * SIDE)
    np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("spacing", [(0.6, 0.6), (1.7, 1.0), (0.23, 0.31)])
def test_at_another_pixel_size_parts_are_alike_and_near_the_whole(student, spacing):
    images = slices_of((70, 100))
    shape = shape_at(images.shape[2:], spacing, student.spacing_mm)
    there = np.stack([at_shape(image, shape) for image in images])
    whole = at_shape(predict_student(student, there), images.shape[2:])
    whole[np.isnan(images).any(axis=1)] = 0.0
    found = by_parts(student, images, spacing, SIDE)
    np.testing.assert_array_equal(found, by_parts(student, images, spacing, 2 * SIDE))
    np.testing.assert_allclose(found, whole, atol=2e-5)


@pytest.mark.parametrize("other", [(40, 90), (133, 200), (77, 15), (61, 61)])
def test_a_resampled_part_is_the_wholes(other):
    planes = np.random.default_rng(0).normal(size=(2, 77, 61)).astype(np.float32)
    planes[1, 30, 20] = np.nan
    shape = planes.shape[1:]
    whole = at_shape(planes, other)
    box = (3, other[0] - 2), (other[1] // 3, other[1] // 2)
    spans = [source_span(*sizes) for sizes in zip(shape, other, box, strict=True)]
    part = planes[:, slice(*spans[0]), slice(*spans[1])]
    found = part_at(part, (spans[0][0], spans[1][0]), box, (shape, other))
    wanted = whole[:, slice(*box[0]), slice(*box[1])]
    np.testing.assert_array_equal(np.isnan(found[0]), np.isnan(wanted[0]))
    np.testing.assert_allclose(found[0], wanted[0], atol=1e-5)  # torch counts positions in float32


def test_parts_that_cut_a_block_are_refused(student):
    images = slices_of((80, 80))
    part = SlicePart((80, 80), (1.0, 1.0), (0, 40), (0, 80), (0, 0))
    with pytest.raises(ShapeError, match="whole blocks of 32"):
        predict_part(student, images, part)
