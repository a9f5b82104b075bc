"""RT Structure Sets and 3D Slicer's segmentations beside scans: whose they are, and that they are no scans."""

import nibabel as nib
import nrrd
import numpy as np
import pytest
from pydicom.uid import generate_uid

from tests.io.cohort.trees import nifti, seen, series
from tests.io.masks.structures import circle, write_structures

GTV = [(1, "GTV", "GTV", [circle(3.0, (6.0, 6.0), 3.0)])]
LIVER = [(1, "Liver", "ORGAN", [circle(3.0, (6.0, 6.0), 3.0)])]


def person(name):
    return {"PatientID": name, "PatientName": name}


def test_a_structure_set_is_truth_of_the_series_that_it_names(tmp_path):
    frame = generate_uid()
    uids = {day: generate_uid() for day in ("20200101", "20200301")}
    for day, uid in uids.items():  # one frame of reference, as after a registration
        series(tmp_path / "P1" / day, "P1", day, SeriesInstanceUID=uid, FrameOfReferenceUID=frame)
    for day, uid in uids.items():
        path = tmp_path / "P1" / f"RS{day}" / "x.dcm"
        write_structures(path, GTV, frame, [uid], SeriesInstanceUID=generate_uid(), **person("P1"))
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [(f"P1/{day}", f"P1/RS{day}/x.dcm") for day in uids]
    assert "left out" not in notes


@pytest.mark.parametrize("inside", [True, False])
def test_a_structure_set_finds_its_scan_by_frame_of_reference(tmp_path, inside):
    frames = {name: generate_uid() for name in ("P1", "P2")}
    for name, frame in frames.items():
        series(tmp_path / name / "ct", name, FrameOfReferenceUID=frame)
    place = tmp_path / "P2" / "ct" if inside else tmp_path / "contours"
    write_structures(place / "rs.dcm", LIVER, frames["P2"], **person("anonymous"))
    rows, _ = seen(tmp_path, "path", "truth", "anatomy")
    where = str(place / "rs.dcm").removeprefix(f"{tmp_path}/")
    assert rows == [("P1/ct", "", ""), ("P2/ct", "", where)]


def test_a_structure_set_beside_nifti_is_that_scans(tmp_path):
    nifti(tmp_path / "P1" / "ct.nii.gz", shape=(12, 12, 4), shift=-11.0)
    gtv = (1, "GTV", "", [circle(-9.0, (6.0, 6.0), 3.0)])
    write_structures(tmp_path / "P1" / "rs.dcm", [gtv, (2, "Heart", "ORGAN", [])], **person("P1"))
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [("P1/ct.nii.gz", "P1/rs.dcm")]
    assert "choose one" not in notes


def test_targets_among_organs_are_told(tmp_path):
    frame = generate_uid()
    series(tmp_path / "ct", "P1", FrameOfReferenceUID=frame)
    write_structures(tmp_path / "rs" / "rs.dcm", [*GTV, (2, "Heart", "ORGAN", LIVER[0][3])], frame)
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [("ct", "rs/rs.dcm")]
    assert "1 of its 2 regions are called targets" in notes


@pytest.mark.parametrize("many", [True, False])
def test_a_structure_set_of_no_scan_or_of_several_is_left_out_with_why(tmp_path, many):
    frame = generate_uid()
    for kernel in ("soft", "bone") if many else ("soft",):
        told = {"FrameOfReferenceUID": frame, "ConvolutionKernel": kernel}
        series(tmp_path / "P1" / kernel, "P1", **told)
    own = frame if many else generate_uid()
    write_structures(tmp_path / "P1" / "rs" / "rs.dcm", GTV, own, **person("P1"))
    rows, notes = seen(tmp_path, "truth")
    assert set(rows) == {("",)}
    assert ("lies on 2 scans" if many else "drawn on no first channel") in notes


def test_structures_that_draw_nothing_are_left_out(tmp_path):
    series(tmp_path / "ct", "P1")
    write_structures(tmp_path / "rs" / "rs.dcm", [(1, "a", "", [])])
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [("ct", "")]
    assert "left out (unreadable): rs/rs.dcm: draws no region" in notes


@pytest.mark.parametrize("name", ["Segmentation.seg.nrrd", "P1.seg.nrrd", "anything.nrrd"])
def test_layers_of_slicer_are_masks_and_no_scans(tmp_path, name):
    nifti(tmp_path / "P1" / "P1.nii.gz")
    affine = nib.load(tmp_path / "P1" / "P1.nii.gz").affine
    header = {
        "space": "right-anterior-superior", "kinds": ["list", "domain", "domain", "domain"],
        "space directions": np.vstack([[np.nan] * 3, affine[:3, :3].T]), "space origin": affine[:3, 3],
    }  # fmt: skip
    for n in range(2):
        header |= {
            f"Segment{n}_ID": f"S{n}",
            f"Segment{n}_Layer": str(n),
            f"Segment{n}_LabelValue": "1",
        }
    data = np.zeros((2, 5, 6, 4), np.uint8)
    data[0, 1:4, 2:4, 1], data[1, 2:5, 2:4, 1:3] = 1, 1
    nrrd.write(str(tmp_path / "P1" / name), data, header)
    rows, _ = seen(tmp_path, "path", "truth")
    assert rows == [("P1/P1.nii.gz", f"P1/{name}")]
