import pytest

from tests.io.cohort.trees import nifti, seen, series


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/P1.nii.gz", "masks/P1.nii.gz"), ("images/P1.nii.gz", "labels/P1_label.nii.gz"),
        ("P1/ct.nii.gz", "P1/ct_mask.nii.gz"), ("P1/ct.nii.gz", "P1/lesion.nii.gz"),
        ("P1/ct.nii.gz", "P1/masks/tumor.nii.gz"), ("P1/ct.nii.gz", "P1/seg/anything.nii.gz"),
        ("P1.nii.gz", "P1-label.nii.gz"), ("P1/scan.nii.gz", "P1/GTV.nii.gz"),
        ("P1/baseline/ct.nii.gz", "P1/baseline/annotation.nii.gz"), ("P1/week2.nii.gz", "P1/week2_seg.nii.gz"),
        ("P1/x/ct.nii.gz", "annotations/P1.nii.gz"), ("P1/ct.nii.gz", "P1/manual.nii.gz"),
    ],
)  # fmt: skip
def test_a_mask_is_truth_wherever_it_lies(tmp_path, image, mask):
    for name in ("P1", "P2"):
        nifti(tmp_path / image.replace("P1", name))
        nifti(tmp_path / mask.replace("P1", name), "mask")
    rows, _ = seen(tmp_path, "path", "truth")
    assert rows == [(image.replace("P1", n), mask.replace("P1", n)) for n in ("P1", "P2")]


def test_a_mask_of_a_visit_is_that_visits(tmp_path):
    for visit in ("week2", "week10"):
        nifti(tmp_path / "P1" / visit / "ct.nii.gz")
    nifti(tmp_path / "P1/week10/lesion_mask.nii.gz", "mask")
    rows, _ = seen(tmp_path, "session", "truth")
    assert rows == [("week2", ""), ("week10", "P1/week10/lesion_mask.nii.gz")]


def test_masks_find_dicom_by_the_patients_folder(tmp_path):
    for name in ("P1", "P2"):
        series(tmp_path / name / "1.2.3.4.5.6" / "1.2.3.4.5.7", name)
        nifti(tmp_path / "segmentation" / f"{name}.nii.gz", "mask", shape=(30, 30, 20), shift=-15.0)
    rows, _ = seen(tmp_path, "subject", "truth")
    assert rows == [(n, f"segmentation/{n}.nii.gz") for n in ("P1", "P2")]


def test_what_is_named_like_a_mask_but_is_an_image_is_a_scan(tmp_path):
    nifti(tmp_path / "P1" / "labelled_ct_seg.nii.gz")
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [("P1/labelled_ct_seg.nii.gz", "")]
    assert "image's values" in notes


@pytest.mark.parametrize(
    ("kind", "shift", "words"),
    [("fractions", 0.0, "whole labels"), ("mask", 500.0, "does not lie on")],
)
def test_a_mask_that_cannot_be_truth_is_left_out_with_why(tmp_path, kind, shift, words):
    nifti(tmp_path / "P1/ct.nii.gz")
    nifti(tmp_path / "P1/ct_mask.nii.gz", kind, shift=shift)
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [("P1/ct.nii.gz", "")]
    assert words in notes


def test_many_masks_beside_a_scan_are_no_scans(tmp_path):
    nifti(tmp_path / "P1/ct.nii.gz")
    for n in range(14):
        nifti(tmp_path / f"P1/duct_{n}.nii.gz", "mask")
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [("P1/ct.nii.gz", "P1/duct_0.nii.gz")]
    assert notes.count("a second mask") == 13


def test_a_mask_of_several_scans_is_told_with_what_to_do(tmp_path):
    for name in ("P1/x/a.nii.gz", "P1/y/b.nii.gz"):
        nifti(tmp_path / name)
    nifti(tmp_path / "P1/liver_mask.nii.gz", "mask")
    nifti(tmp_path / "Q/deep/er/kidney_mask.nii.gz", "mask")
    _, notes = seen(tmp_path, "path")
    assert "lies on 2 scans; name it in `truth` or `anatomy`" in notes
    assert "no scan is known to be its own" in notes


def test_an_organ_is_anatomy_and_no_truth(tmp_path):
    nifti(tmp_path / "P1/ct.nii.gz")
    nifti(tmp_path / "P1/liver_mask.nii.gz", "mask")
    nifti(tmp_path / "P1/tumour.nii.gz", "mask")
    nifti(tmp_path / "P1/second_tumour.nii.gz", "mask")
    rows, notes = seen(tmp_path, "truth", "anatomy")
    assert rows == [("P1/second_tumour.nii.gz", "P1/liver_mask.nii.gz")]
    assert "a second mask" in notes


def test_objects_of_dicom_are_named_not_read(tmp_path):
    series(tmp_path / "P1" / "ct", "P1")
    series(tmp_path / "P1" / "seg", "P1", count=1, Modality="SEG")
    series(
        tmp_path / "P1" / "structures", "P1", count=1, Modality="RTSTRUCT", Rows=None, Columns=None
    )
    rows, notes = seen(tmp_path, "path")
    assert rows == [("P1/ct",)]
    assert "SEG object" in notes
    assert "RTSTRUCT object" in notes


def test_words_that_are_joined_say_mask_too(tmp_path):
    nifti(tmp_path / "P1" / "P1_Timepoint_1_brain_t1c.nii.gz")
    nifti(tmp_path / "P1" / "P1_Timepoint_1_tumorMask.nii.gz", "mask")
    rows, _ = seen(tmp_path, "subject", "path", "truth")
    names = [f"P1/P1_Timepoint_1_{name}.nii.gz" for name in ("brain_t1c", "tumorMask")]
    assert rows == [("P1", *names)]


def test_a_data_set_that_is_named_after_its_masks_holds_images(tmp_path):
    nifti(tmp_path / "COVID-CT-Seg_20cases" / "case_001.nii.gz")
    nifti(tmp_path / "COVID-CT-Seg_20cases" / "case_002.nii.gz")
    for folder in ("Infection_Mask", "Lung_Mask"):
        nifti(tmp_path / folder / "case_001.nii.gz", "mask")
        nifti(tmp_path / folder / "case_002.nii.gz", "mask")
    rows, _ = seen(tmp_path, "path", "truth", "anatomy")
    assert rows == [
        tuple(f"{folder}/case_{n}.nii.gz" for folder in ("COVID-CT-Seg_20cases", "Infection_Mask", "Lung_Mask"))
        for n in ("001", "002")
    ]  # fmt: skip


def test_a_programs_answers_are_neither_scans_nor_truth(tmp_path):
    for name in ("c1", "c2"):
        nifti(tmp_path / "images" / f"{name}.nii.gz")
        nifti(tmp_path / "predictions" / f"{name}.nii.gz", "mask")
        nifti(tmp_path / "reader" / f"{name}.nii.gz", "mask")
    rows, notes = seen(tmp_path, "path", "truth")
    assert rows == [(f"images/{n}.nii.gz", f"reader/{n}.nii.gz") for n in ("c1", "c2")]
    assert notes.count("a program's answer") == 2
