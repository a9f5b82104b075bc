"""Parts of masks that arrive plane by plane: those of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.metrics.part_stream import PartStream

ALL = np.ones((3, 3, 3), dtype=bool)


def numbered(values):
    stream = PartStream()
    numbers = np.stack([stream.add(plane) for plane in values])
    return stream, stream.roots()[numbers]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.02, 0.6), st.integers(1, 3))
def test_parts_are_those_of_every_label_in_the_whole(seed, share, labels):
    rng = np.random.default_rng(seed)
    shape = (5, 7, 8)
    values = rng.integers(1, labels + 1, shape) * (rng.random(shape) < share)
    stream, found = numbered(values)
    assert ((found > 0) == (values > 0)).all()
    sizes, seen = stream.sizes(), 0
    for value in range(1, labels + 1):
        expected, count = ndimage.label(values == value, ALL)
        pairs = set(zip(expected[values == value], found[values == value], strict=True))
        assert len(pairs) == len({p for p, _ in pairs}) == len({f for _, f in pairs}) == count
        for part, number in pairs:
            assert sizes[number] == np.count_nonzero(expected == part)
        seen += count
    assert np.count_nonzero(sizes) == seen


def test_a_spiral_that_joins_late_is_one_part():
    mask = np.zeros((3, 9, 9), dtype=bool)
    mask[0, ::2] = True  # five bars …
    mask[1, ::2, 0] = True
    mask[2, :, 0] = True  # … joined by the last plane
    stream, found = numbered(mask)
    assert np.unique(found).tolist() == [0, 1]
    assert stream.used == 5
    assert stream.sizes().sum() == mask.sum()


def test_planes_of_another_shape_are_refused():
    stream = PartStream()
    stream.add(np.zeros((3, 4), dtype=bool))
    with pytest.raises(ShapeError, match="one shape"):
        stream.add(np.zeros((4, 3), dtype=bool))
