"""Slices are sorted by where they lie; tolerances follow the size of the voxels."""

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from somray.errors import DataError
from somray.io.readers import open_source
from tests.io.dicom_files import COLUMNS, ROWS, make_slice, save

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def rotated(a, b, c):
    """Return a row and a column turned by three angles."""
    turns = [
        np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]),
        np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]),
        np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]]),
    ]
    turn = turns[0] @ turns[1] @ turns[2]
    return np.concatenate([turn[:, 0], turn[:, 1]])


def stack(cosines, heights, start=(5.0, -7.0, 11.0), **changes):
    normal = np.cross(cosines[:3], cosines[3:])
    return [
        make_slice(np.round(np.array(start) + h * normal, 9), np.round(cosines, 9), **changes)
        for h in heights
    ]


def code_of(folder):
    with pytest.raises(DataError) as caught:
        open_source(folder)
    return caught.value.code


ANGLE = st.floats(-3.1, 3.1)


@settings(max_examples=12, deadline=None)
@given(angles=st.tuples(ANGLE, ANGLE, ANGLE), order=st.permutations(range(5)))
def test_voxels_and_world_are_those_of_simpleitk(tmp_path_factory, angles, order):
    cosines = rotated(*angles)
    slices = stack(cosines, [2.5 * i for i in order])
    for number, data in enumerate(slices):
        data.InstanceNumber = number + 1  # in no order of space
    folder = save(tmp_path_factory.mktemp("series"), slices)
    by_place = [folder / f"{order.index(i):03}.dcm" for i in range(5)]
    image = SimpleITK.ReadImage([str(p) for p in by_place])
    with open_source(folder) as source:
        found = source.read(0, 0, 5)
        np.testing.assert_allclose(found, SimpleITK.GetArrayFromImage(image), atol=1e-3)
        corners = np.array([[0, 0, 0], [4, ROWS - 1, COLUMNS - 1], [2, 0, 3.5]], dtype=float)
        wanted = [image.TransformContinuousIndexToPhysicalPoint(c[::-1].tolist()) for c in corners]
        np.testing.assert_allclose(source.header.geometry.to_world(corners), wanted, atol=1e-5)


def test_micrometre_voxels_keep_their_order_and_their_faults(tmp_path):
    tiny = {"PixelSpacing": [0.004, 0.004], "SliceThickness": 0.005, "Modality": "OT"}
    even = [0.005 * i for i in range(6)]
    with open_source(save(tmp_path / "even", stack(AXIAL, even, **tiny)[::-1])) as source:
        assert source.header.geometry.spacing_mm == pytest.approx((0.005, 0.004, 0.004))
    assert code_of(save(tmp_path / "gap", stack(AXIAL, even[:3] + even[4:], **tiny))) == "irregular"
    assert (
        code_of(save(tmp_path / "copy", stack(AXIAL, [*even, even[2]], **tiny))) == "mixed_series"
    )
    other = stack(AXIAL, even[:3], **tiny) + stack(
        AXIAL, even[3:], **{**tiny, "PixelSpacing": [0.0042, 0.0042]}
    )
    assert code_of(save(tmp_path / "sizes", other)) == "mixed_series"


@pytest.mark.parametrize(("step", "is_even"), [(0.5, True), (0.1, True), (0.02, False)])
def test_jitter_is_weighed_against_the_gap(tmp_path, step, is_even):
    heights = [step * i + (0.0025 if i % 3 else -0.0025) for i in range(8)]
    folder = save(tmp_path / "a", stack(AXIAL, heights))
    if is_even:
        with open_source(folder) as source:
            assert source.header.geometry.spacing_mm[0] == pytest.approx(step, rel=0.02)
    else:
        assert code_of(folder) == "irregular"


def test_spacing_and_location_fields_do_not_place_slices(tmp_path):
    slices = stack(AXIAL, [0, 2, 4, 6], SpacingBetweenSlices="-5", SliceThickness="7")
    for i, data in enumerate(slices):
        data.SliceLocation = str(500 - 7 * i)
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.geometry.spacing_mm[0] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("thickness", "spacing", "wanted"),
    [("2", None, 2.0), ("2", "-3", 3.0), ("2", "0", 2.0), (None, None, 1.0)],
)
def test_one_slice_is_as_thick_as_its_header_says(tmp_path, thickness, spacing, wanted):
    (data,) = stack(AXIAL, [0], SliceThickness=thickness, SpacingBetweenSlices=spacing)
    with open_source(save(tmp_path / "a", [data])) as source:
        assert source.header.geometry.spacing_mm[0] == wanted
        assert source.header.repairs == (() if thickness else ("thickness_assumed",))


def test_cosines_that_are_rounded_or_too_long_are_made_unit(tmp_path):
    slices = [
        make_slice((0, 0, 2.0 * i), (1.0004, 0.0003, 0, -0.0003, 0.9996, 0)) for i in range(3)
    ]
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.geometry.spacing_mm == pytest.approx((2.0, 1.5, 0.75))


def test_places_rounded_to_tenths_are_even_and_a_slice_that_lacks_is_still_found(tmp_path):
    heights = [round(0.625 * i, 1) for i in range(24)]
    with open_source(save(tmp_path / "a", stack(AXIAL, heights))) as source:
        assert source.header.geometry.spacing_mm[0] == pytest.approx(0.625, rel=0.01)
    for lost in (1, 12, 22):
        left = [h for n, h in enumerate(heights) if n != lost]
        assert code_of(save(tmp_path / str(lost), stack(AXIAL, left))) == "irregular"
    shifted = [round(h + 0.01, 2) for h in heights]  # two decimals hide nothing
    assert code_of(save(tmp_path / "b", stack(AXIAL, shifted))) == "irregular"


def test_lost_places_are_told_and_no_time_points(tmp_path):
    slices = stack(AXIAL, [0] * 4)
    for n, data in enumerate(slices):
        data.AcquisitionTime, data.SliceLocation = f"10000{n}", str(2.0 * n)
    assert code_of(save(tmp_path / "a", slices)) == "no_space"
    for data in slices:
        data.SliceLocation = "0"
    with open_source(save(tmp_path / "b", slices)) as source:  # one slice, four times
        assert source.header.shape[:2] == (4, 1)
    for data in slices:
        del data.SliceLocation
        data.ImagePositionPatient = [0.0, 0.0, 0.0]
    assert code_of(save(tmp_path / "c", slices)) == "no_space"
    for n, data in enumerate(slices):
        data.TemporalPositionIdentifier = n + 1
    with open_source(save(tmp_path / "d", slices)) as source:
        assert source.header.shape[:2] == (4, 1)


@pytest.mark.parametrize(
    ("numbers", "told", "is_whole"),
    [
        ((1, 3, 5, 7), {"SpacingBetweenSlices": "1"}, False),  # every second of slices 1 mm apart
        ((9, 7, 5, 3), {"SliceThickness": "1"}, False),
        ((1, 2, 3, 4), {"ImagesInAcquisition": "9"}, False),
        ((1, 2, 3, 4), {"NumberOfSlices": 2, "NumberOfTimeSlices": 3}, False),
        ((1, 2, 3, 4), {"SliceThickness": "1"}, True),  # thin slices with room between
        ((1, 3, 5, 7), {"SpacingBetweenSlices": "2"}, True),  # in turn with others
        ((1, 2, 3, 4), {"ImagesInAcquisition": "4", "NumberOfSlices": 4}, True),
    ],
)
def test_a_header_that_tells_of_more_slices_is_noted(tmp_path, numbers, told, is_whole):
    slices = stack(AXIAL, [0, 2, 4, 6], **told)
    for data, number in zip(slices, numbers, strict=True):
        data.InstanceNumber = number
    with open_source(save(tmp_path / "a", slices)) as source:
        assert source.header.geometry.spacing_mm[0] == pytest.approx(2.0)
        assert source.header.repairs == (() if is_whole else ("slices_missing",))
