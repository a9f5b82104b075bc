"""RT Structure Sets as masks: where contours come to lie, which hold a voxel, what is left out and refused."""

import numpy as np
import pydicom
import pytest

from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.io.masks.anatomy import organ_names
from somray.io.masks.label_masks import LabelMask
from somray.io.masks.opening import open_mask
from somray.io.masks.rtstruct import check_frame
from somray.io.writers.dicom.contours import outlines
from tests.io.dicom_files import make_slice, save
from tests.io.masks.structures import FRAME, box, circle, write_structures

SHAPE = (6, 20, 24)


def grid(spacing=(3.0, 1.0, 1.0), origin=(-10.0, 5.0, 30.0), turn=None, shape=SHAPE):
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(spacing[::-1])
    matrix[:3, 3] = origin
    return Geometry.from_matrix(shape, matrix)


GRID = grid()


def read(path, image=GRID):
    with open_mask(str(path), image) as source:
        return source.read(0, 0, source.header.shape[1]).astype(int)


def on(image, z, ring):
    """Take a ring (n, 2) of y, x voxels of slice z to LPS mm."""
    return image.to_world(np.column_stack([np.full(len(ring), float(z)), ring]))


def turned(seed):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


@pytest.mark.parametrize("bare", [False, True])
def test_regions_are_labels_in_the_order_of_their_numbers_under_their_names(tmp_path, bare):
    rois = [
        (17, "GTV <b>1", "GTV", [box(33.0, -6.5, -2.5, 8.5, 10.5)]),
        (0, "Liver", "ORGAN", [box(36.0, -6.5, -2.5, 8.5, 10.5)]),
        (4, "empty", "", []),
    ]
    path = write_structures(tmp_path / "rs.dcm", rois, bare=bare)
    expected = np.zeros(SHAPE, int)
    expected[2, 4:6, 4:8] = 1
    expected[1, 4:6, 4:8] = 3
    np.testing.assert_array_equal(read(path), expected)
    np.testing.assert_array_equal(read(tmp_path), expected)  # the only one of its folder
    assert organ_names(path) == {1: "Liver", 2: "empty", 3: "GTV b 1"}
    with LabelMask(path, GRID) as mask:
        np.testing.assert_array_equal(mask.read(0, 6), expected)
    chosen = read(f"{path}#channel=gtv <b>1")
    np.testing.assert_array_equal(chosen, np.where(expected == 3, 3, 0))


@pytest.mark.parametrize("seed", range(4))
def test_masks_come_back_from_their_outlines_however_the_slices_are_turned(tmp_path, seed):
    image = grid((2.5, 0.7, 0.9), (31.0, -7.0, 5.0), turned(seed))
    mask = np.random.default_rng(seed).random(SHAPE) < 0.4
    contours = [on(image, z, o[:, ::-1]) for z in range(6) for o in outlines(mask[z])]
    path = write_structures(tmp_path / "rs.dcm", [(1, "a", "", contours)])
    np.testing.assert_array_equal(read(path, image), mask)


def test_a_contour_between_slices_goes_to_the_nearest_and_planes_of_one_slice_do_not_cancel(
    tmp_path,
):
    contours = [box(z, -6.5, -2.5, 8.5, 12.5) for z in (31.4, 34.6, 38.9, 40.1)]
    contours.append(
        box(40.1, -5.5, -3.5, 9.5, 11.5)
    )  # a hole, in the plane that is farther from slice 3
    contours += [box(28.4, -6.5, -2.5, 8.5, 12.5), box(46.6, -6.5, -2.5, 8.5, 12.5)]
    labels = read(write_structures(tmp_path / "rs.dcm", [(1, "a", "", contours)]))
    assert [int(np.count_nonzero(plane)) for plane in labels] == [16, 0, 16, 16, 0, 0]
    with open_mask(str(tmp_path / "rs.dcm"), GRID) as source:
        assert "leaves out 2 contours that lie outside the scan" in source.notes


def test_the_first_region_holds_what_several_cover_and_the_body_none(tmp_path):
    rois = [
        (1, "BODY", "EXTERNAL", [box(33.0, -9.5, 12.5, 5.5, 22.5)]),
        (2, "a", "", [box(33.0, -6.5, -2.5, 8.5, 12.5)]),
        (3, "b", "", [box(33.0, -4.5, -0.5, 8.5, 12.5)]),
        (4, "iso", "ISOCENTER", [("POINT", np.array([[0.0, 9.0, 33.0]]))]),
        (5, "line", "", [("OPEN_PLANAR", box(33.0, 0, 1, 9, 10)), circle(33.0, (3, 9), 2)[:2]]),
    ]
    path = write_structures(tmp_path / "rs.dcm", rois)
    assert [int((read(path) == n).sum()) for n in range(1, 6)] == [0, 16, 8, 0, 0]
    with open_mask(path, GRID) as source:
        source.verify()
        assert source.notes == (
            "leaves out 3 points and open contours",
            "leaves out 1 outlines of the body (EXTERNAL)",
            "has regions that overlap, where the first holds the voxel: 3 b lose some",
        )
    alone = write_structures(tmp_path / "body.dcm", rois[:1])
    assert read(alone).any()


def test_what_is_drawn_on_every_other_slice_takes_the_shape_between(tmp_path):
    even = [
        box(z, -8.5, -8.5 + width, 7.5, 7.5 + width) for z, width in ((30, 4), (36, 8), (42, 8))
    ]
    path = write_structures(tmp_path / "rs.dcm", [(1, "a", "", even)])
    with open_mask(path, GRID) as source:
        told = "draws 1 a on one slice in 2; those between take the shape between"
        assert source.notes == (told,)
        found = source.read(0, 0, 5)
    areas = found.sum(axis=(1, 2)).astype(int).tolist()
    assert (areas[0], areas[2:]) == (16, [64, 64, 64])
    assert 28 <= areas[1] <= 36  # a square of 6, but for its corners
    assert np.array_equal(found[3], found[2])
    assert (found[0] <= found[1]).all()
    assert (found[1] <= found[2]).all()


@pytest.mark.parametrize("heights", [(30, 36), (30, 36, 45), (30, 36, 36.4)])
def test_what_is_not_drawn_evenly_keeps_its_gaps_and_says_so(tmp_path, heights):
    contours = [box(z, -6.5, -2.5, 8.5, 12.5) for z in heights]
    with open_mask(write_structures(tmp_path / "rs.dcm", [(1, "a", "", contours)]), GRID) as source:
        assert source.notes == ("draws on one slice in 2 at most; those between stay empty",)
        assert not source.read(0, 1, 2).any()


def test_parts_that_lie_apart_stay_apart(tmp_path):
    tall = grid(shape=(14, 20, 24))
    heights = [30 + 3 * z for z in (0, 2, 4, 8, 10)]
    contours = [box(z, -6.5, -2.5, 8.5, 12.5) for z in heights]
    found = read(write_structures(tmp_path / "rs.dcm", [(1, "a", "", contours)]), tall)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [0, 1, 2, 3, 4, 8, 9, 10]


def test_without_an_image_contours_lie_on_a_grid_of_their_own(tmp_path):
    contours = [circle(z, (20.0, -40.0), 8.0) for z in (10.0, 12.5, 15.0)]
    with open_mask(write_structures(tmp_path / "rs.dcm", [(1, "a", "", contours)])) as source:
        own = source.header.geometry
        assert own.spacing_mm == (2.5, 1.0, 1.0)
        assert own.shape == (3, 17, 17)
        volume = np.count_nonzero(source.read(0, 0, 3)) * own.voxel_mm3
    assert volume == pytest.approx(3 * 2.5 * np.pi * 64, rel=0.04)


@pytest.mark.parametrize(
    ("contours", "code", "words"),
    [
        ([], "unreadable", "draws no region"),
        ([("POINT", np.zeros((1, 3)))], "unreadable", "draws no region"),
        ([circle(900, (0, 10), 3)], "mask_mismatch", "outside the scan"),
        ([circle(33, (900, 10), 3)], "mask_mismatch", "outside the scan"),
        ([circle(33, (0, 10), 5)[:, [0, 2, 1]]], "unreadable", "not drawn on the scan's slices"),
        ([np.full((4, 3), 1e9)], "unreadable", "damaged"),
    ],
    ids=["nothing", "points", "above", "beside", "sagittal", "far"],
)
def test_what_draws_nothing_or_elsewhere_is_refused(tmp_path, contours, code, words):
    path = write_structures(tmp_path / "rs.dcm", [(1, "a", "", contours)])
    with pytest.raises(DataError, match=words) as refused:
        open_mask(path, GRID)
    assert refused.value.code == code


def test_several_objects_of_one_folder_and_unknown_regions_are_refused(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        path = write_structures(tmp_path / name, [(1, "a", "", [box(33, -6, -2, 8, 12)])])
    with pytest.raises(DataError, match="holds 2 segmentations"):
        open_mask(str(tmp_path), GRID)
    with pytest.raises(DataError, match="no region of that name"):
        open_mask(f"{path}#channel=liver", GRID)


def test_a_cut_file_is_refused_without_its_words(tmp_path):
    rois = [(1, "Secret^Name", "", [circle(33, (0, 10), 3)])]
    path = tmp_path / "rs.dcm"
    write_structures(path, rois, PatientName="Secret^Name")
    data, told = path.read_bytes(), list[str]()
    for end in range(200, len(data), 61):
        path.write_bytes(data[:end])
        try:
            read(path)
        except DataError as error:
            told.append(str(error))
    assert told
    assert "Secret" not in "".join(told)


def test_another_frame_of_reference_is_refused_where_both_are_known(tmp_path):
    scan = save(tmp_path / "ct", [make_slice((0, 0, z), FrameOfReferenceUID=FRAME) for z in (0, 3)])
    rois = [(1, "a", "", [box(0, 1, 3, 1, 3)])]
    own = write_structures(tmp_path / "own.dcm", rois)
    other = write_structures(tmp_path / "other.dcm", rois, frame="1.2.3.5")
    check_frame(own, str(scan))
    with pytest.raises(DataError, match=r"\[mask_mismatch\].*another frame of reference"):
        check_frame(other, str(scan))
    check_frame(other, None)
    check_frame(write_structures(tmp_path / "none.dcm", rois, frame=""), str(scan))
    check_frame(str(scan), str(scan))  # no structure set at all
    data = pydicom.dcmread(next(p for p in scan.iterdir()))
    del data.FrameOfReferenceUID
    data.save_as(tmp_path / "bare.dcm")
    check_frame(other, str(tmp_path / "bare.dcm"))
