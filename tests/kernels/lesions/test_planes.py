import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from somray.errors import ShapeError
from somray.kernels.lesions.planes import PlaneCounter


def counted(labels, classes):
    counter = PlaneCounter(labels.shape)
    counter.add(labels, classes)
    return list(counter.finish())


def drawn(seed, shape=(6, 7, 9)):
    rng = np.random.default_rng(seed)
    labels = (rng.integers(1, 9, shape) * (rng.random(shape) < 0.2)).astype(np.int32)
    return labels, rng.integers(0, 5, shape).astype(np.uint8)


def test_planes_across_every_axis_hold_what_numpy_counts():
    labels, classes = drawn(0)
    sample = (classes > 1) | (labels > 0)
    found = {(p.axis, p.index): p for p in counted(labels, classes)}
    assert len(found) == sum(labels.shape)
    for n, axis in enumerate("zyx"):
        for index in range(labels.shape[n]):
            plane, own, whole = found[axis, index], labels.take(index, n) > 0, sample.take(index, n)
            assert plane.voxels == own.size
            assert (plane.lesion_voxels, plane.sample_voxels) == (own.sum(), whole.sum())
            assert plane.fraction == own.mean()
            assert plane.sample_fraction == pytest.approx(own.sum() / whole.sum())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), z=st.integers(0, 6), y=st.integers(0, 7), x=st.integers(0, 9))
def test_boxes_in_any_order_count_the_same(seed, z, y, x):
    labels, classes = drawn(seed)
    counter = PlaneCounter(labels.shape)
    for a in (slice(z, None), slice(0, z)):
        for b in (slice(0, y), slice(y, None)):
            for c in (slice(x, None), slice(0, x)):
                corner = (a.start, b.start, c.start)
                counter.add(labels[a, b, c], classes[a, b, c], corner)
    assert list(counter.finish()) == counted(labels, classes)


def test_a_volume_without_background_has_no_sample_of_its_own():
    labels, classes = drawn(3)
    assert {p.sample_voxels for p in counted(labels, np.full_like(classes, 2))} == {None}
    assert {p.sample_fraction for p in counted(labels, None)} == {None}


def test_a_plane_outside_the_sample_has_no_share_of_it():
    labels, classes = np.zeros((3, 2, 2), np.int32), np.full((3, 2, 2), 2, np.uint8)
    classes[0] = 1
    first, second = counted(labels, classes)[:2]
    assert (first.sample_voxels, first.sample_fraction, first.fraction) == (0, None, 0.0)
    assert (second.sample_voxels, second.sample_fraction) == (4, 0.0)


def test_labels_and_classes_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\(3, 2, 2\)"):
        counted(np.zeros((3, 2, 2), np.int32), np.zeros((3, 2, 1), np.uint8))
    with pytest.raises(ShapeError, match="none"):
        PlaneCounter((1, 2, 2)).add(np.zeros((2, 2), np.int32), None)
