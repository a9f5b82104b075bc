"""Two patients never share a subject, and one patient is one subject where names or headers tell."""

import pytest

from somray.io.cohort.discover import propose
from tests.io.cohort.trees import nifti, seen, series


def people(root):
    """Subject of each path."""
    rows, notes = seen(root, "path", "subject")
    return dict(rows), notes


@pytest.mark.parametrize(
    "folders",
    [
        ("A/DICOM/PA000000/ST000000/SE000001", "B/DICOM/PA000000/ST000000/SE000001", "C/DICOM/PA000000/ST1"),
        ("P01/series1", "P02/series1", "P03/series1"),
        ("site1/P01/ct", "site2/P01/ct", "site1/P02/ct"),
        ("1.2.3.4.5.6.1/1.2.3.4.5.6.11", "1.2.3.4.5.6.2/1.2.3.4.5.6.11"),
        ("ST1/SE1", "ST2/SE1", "ST3/SE1"),
        ("PA000001/ST1/SE1", "PA000002/ST1/SE1"),
        ("Müller/ct", "Muller/ct", "a (1)/ct", "a [1]/ct", "Case/ct", "case/ct"),
        ("Иванов/ct", "Петров/ct", "王伟/ct", "李娜/ct", "x" * 90 + "/ct", "x" * 91 + "/ct"),
        ("lab_A/M01/ct", "lab_A/M02/ct", "lab_B/M01/ct"),
        ("study/V1/ct", "study/V2/ct", "study/V3/ct"),
        ("train/1/ct", "train/2/ct", "test/1/ct"),
        ("scan1", "scan2", "scan3"),
        ("20200101", "20210101", "20220101"),
        ("D1", "I1", "D2"),
        ("01-001-1", "01-002-1", "02-001-1"),
    ],
    ids=lambda folders: folders[0][:12],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["nifti", "anonymous"])
def test_folders_of_different_people_are_different_subjects(tmp_path, folders, kind):
    for folder in folders:
        if kind == "nifti":
            nifti(tmp_path / folder / "image.nii.gz")
        else:
            series(tmp_path / folder, patient="ANON", day="")
    subjects, _ = people(tmp_path)
    assert len(subjects) == len(folders)
    assert len({s.casefold() for s in subjects.values()}) == len(folders)


@pytest.mark.parametrize(
    "folders", [("P/x", "P/y"), ("x", "y"), ("P/baseline", "P/followup"), ("sub-1/a", "sub-1/b")]
)
def test_headers_part_two_people_of_one_name(tmp_path, folders):
    for folder, patient in zip(folders, ("A1", "B2"), strict=True):
        series(tmp_path / folder, patient)
    subjects, _ = people(tmp_path)
    assert len(set(subjects.values())) == 2


def test_one_id_with_another_name_or_birthday_is_another_person(tmp_path):
    series(tmp_path / "P/a", "17")
    series(tmp_path / "P/b", "17", PatientName="Other^Name")
    series(tmp_path / "P/c", "17", PatientBirthDate="19600101")
    subjects, _ = people(tmp_path)
    assert len(set(subjects.values())) == 3


def test_one_patient_of_two_folders_is_one_subject_in_order_of_dates(tmp_path):
    series(tmp_path / "scan_a", "A1", "20210101")
    series(tmp_path / "scan_b", "A1", "20200101")
    series(tmp_path / "scan_c", "B2", "20200101")
    rows, notes = seen(tmp_path, "subject", "session", "days", "path")
    (other,) = (row for row in rows if row[3] == "scan_c")
    first, second = (row for row in rows if row != other)
    assert first[0] == second[0] != other[0]
    assert (first[1:], second[1:]) == (("scan_b", "0", "scan_b"), ("scan_a", "366", "scan_a"))
    assert "one patient" in notes
    assert "dates in the headers" in notes


def test_a_common_part_of_the_names_calls_the_subject(tmp_path):
    for visit, day in (("thorax", "20200101"), ("thorax_again", "20200301")):
        series(tmp_path / "P07" / visit, "A1", day)
    series(tmp_path / "P08" / "thorax", "B1")
    rows, _ = seen(tmp_path, "subject", "session", "days")
    assert rows == [("P07", "thorax", "0"), ("P07", "thorax_again", "60"), ("P08", "t0", "")]


def test_headers_that_are_alike_everywhere_do_not_join_what_names_part(tmp_path):
    for name in ("P01", "P02", "P03"):
        series(tmp_path / name, "12345", f"2020010{name[-1]}")
    subjects, notes = people(tmp_path)
    assert subjects == {"P01": "P01", "P02": "P02", "P03": "P03"}
    assert "anonymised alike" in notes


def test_what_neither_tells_is_numbered_and_said(tmp_path):
    for n in (1, 2):
        series(tmp_path / f"ST{n}" / "SE1", patient="")
    subjects, notes = people(tmp_path)
    assert sorted(subjects.values()) == ["subject-001", "subject-002"]
    assert "look at `subject`" in notes


def test_no_name_id_or_date_of_a_header_leaves_it(tmp_path):
    series(tmp_path / "x/a", "Secret^Name-4711", "20210203", PatientBirthDate="19550505")
    series(tmp_path / "x/b", "Secret^Name-4711", "20210204", PatientBirthDate="19550505")
    series(tmp_path / "x/c", "Other^Secret", "20210204", SeriesDescription="Secret portal 20210203")
    told = repr(propose([tmp_path]))
    assert len(propose([tmp_path]).rows) == 3
    for secret in ("Secret", "4711", "20210203", "20210204", "2021-02", "19550505"):
        assert secret not in told


def test_ids_that_differ_from_names_are_told(tmp_path):
    for name in ("Müller", "Muller"):
        nifti(tmp_path / name / "ct.nii.gz")
    subjects, notes = people(tmp_path)
    assert subjects["Muller/ct.nii.gz"] == "Muller"
    assert f"'Müller' is called '{subjects['Müller/ct.nii.gz']}'" in notes


def test_unlike_names_within_a_person_are_kept_apart_and_asked_about(tmp_path):
    for visit in ("1", "2"):
        nifti(tmp_path / "P1" / visit / "ct.nii.gz")
        nifti(tmp_path / "P2" / visit / "ct.nii.gz")
    subjects, notes = people(tmp_path)
    assert set(subjects.values()) == {"P1-1", "P1-2", "P2-1", "P2-2"}
    assert "if these are visits of one person" in notes


@pytest.mark.parametrize(
    "files",
    [
        ("mydata/v1.nii.gz", "mydata/v2.nii.gz"), ("mydata2/t1/ct.nii.gz", "mydata2/t3/ct.nii.gz"),
        ("control_v1.nii.gz", "control_v2.nii.gz"), ("hospitalA/CT/001.nii.gz", "hospitalB/CT/001.nii.gz"),
        ("mice_x/M1/ct.nii.gz", "mice_x/M2/ct.nii.gz"), ("P01_baseline.nii.gz", "P1_baseline.nii.gz"),
        ("scan (1).nii.gz", "scan (2).nii.gz"), ("a b/week2.nii.gz", "a_b/week10.nii.gz"),
    ],
)  # fmt: skip
def test_words_that_may_be_ids_join_nobody(tmp_path, files):
    for file in files:
        nifti(tmp_path / file)
    subjects, _ = people(tmp_path)
    assert len(set(subjects.values())) == 2
