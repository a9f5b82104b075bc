"""The commonest number of each block, beside a count by hand."""

import numpy as np
import pytest

from somray.kernels.grids.commonest import commonest


def by_hand(numbers, block):
    lead, _, rows, columns = numbers.shape
    found = np.full((lead, -(-rows // block[0]), -(-columns // block[1])), -1, dtype=numbers.dtype)
    for n, y, x in np.ndindex(found.shape):
        part = numbers[n, :, y * block[0] : (y + 1) * block[0], x * block[1] : (x + 1) * block[1]]
        known = part[part >= 0]
        if known.size:
            found[n, y, x] = np.bincount(known).argmax()  # the lowest of equals
    return found


@pytest.mark.parametrize("block", [(1, 1), (2, 3), (4, 4)])
def test_commonest_equals_a_count_by_hand(block):
    numbers = np.random.default_rng(3).integers(-1, 4, (2, 3, 9, 10)).astype(np.int16)
    numbers[:, :, :4, :4] = -1
    found = commonest(numbers, block)
    np.testing.assert_array_equal(found, by_hand(numbers, block))
    assert found.dtype == np.int16
