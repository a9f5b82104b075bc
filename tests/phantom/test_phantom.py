"""What `somray phantom` writes: read back by pydicom, SimpleITK and nibabel, none of them ours."""

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813  # the name its own documents use

from somray.config import load_config
from somray.errors import ConfigError
from somray.phantom import make_subject
from somray.phantom.files.dicom import suv_to_activity
from somray.phantom.files.write import write_phantom

SHAPE = (8, 40, 32)


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("phantom")
    found = {}
    for modality, kind in (("petct", "dicom"), ("petct", "nifti"), ("xct", "nifti")):
        out = base / f"{modality}-{kind}"
        write_phantom(out, 1, 2, SHAPE, modality, kind, seed=5)
        found[f"{modality}-{kind}"] = out
    return found


@pytest.fixture(scope="module")
def truth():
    return {m: make_subject(m, SHAPE, 2, 5, 0) for m in ("petct", "xct")}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def slices(folder: Path) -> list[pydicom.Dataset]:
    read = [pydicom.dcmread(f) for f in sorted(folder.iterdir())]
    return sorted(read, key=lambda d: float(d.ImagePositionPatient[2]))


def read_series(folder: Path) -> sitk.Image:
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return sitk.ReadImage(names)


def matrix_of(image: sitk.Image) -> np.ndarray:
    matrix = np.eye(4)
    turn = np.array(image.GetDirection()).reshape(3, 3)
    matrix[:3, :3] = turn * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def test_the_configuration_is_accepted_and_names_what_is_there(cohorts):
    for name, out in cohorts.items():
        cohort = load_config(out / "cohort.yaml")
        assert (cohort.scans, cohort.output, cohort.seed) == ("scans.csv", "run", 5)
        (protocol,) = cohort.protocols.values()
        assert protocol.modality == name.split("-")[0].upper()
        rows = table(out / "scans.csv")
        assert list(rows[0])[:4] == ["subject", "session", "protocol", "path"]
        assert {r["protocol"] for r in rows} == set(cohort.protocols)
        assert [r["channel"] for r in rows] == protocol.channels * 2
        assert all((out / r["path"]).exists() for r in rows)


def test_truth_stands_on_the_row_of_the_first_channel_alone(cohorts):
    rows = table(cohorts["petct-dicom"] / "scans.csv")
    assert [bool(r["truth"]) for r in rows] == [True, False] * 2
    assert [float(r["days"]) for r in rows] == [0, 0, 90, 90]
    assert all((cohorts["petct-dicom"] / r["truth"]).exists() for r in rows if r["truth"])


def test_ct_slices_give_back_the_hounsfield_units(cohorts, truth):
    for session in truth["petct"]:
        read = slices(cohorts["petct-dicom"] / f"scans/s01_t{session.index}_CT")
        image = np.stack(
            [d.pixel_array * float(d.RescaleSlope) + float(d.RescaleIntercept) for d in read]
        )
        assert np.abs(image - session.images["CT"]).max() <= 0.5 + 1e-3


def test_pet_slices_give_back_suv_from_the_header_alone(cohorts, truth):
    for session in truth["petct"]:
        read = slices(cohorts["petct-dicom"] / f"scans/s01_t{session.index}_PET")
        head = read[0]
        dose = head.RadiopharmaceuticalInformationSequence[0]
        assert (head.Units, head.DecayCorrection) == ("BQML", "START")

        def seconds(text: str) -> float:
            return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:])

        waited = seconds(head.SeriesTime) - seconds(dose.RadiopharmaceuticalStartTime)
        left = float(dose.RadionuclideTotalDose) * 0.5 ** (
            waited / float(dose.RadionuclideHalfLife)
        )
        factor = float(head.PatientWeight) * 1000 / left
        image = np.stack([d.pixel_array * float(d.RescaleSlope) for d in read]) * factor
        assert (
            np.abs(image - session.images["PET"]).max() < float(session.images["PET"].max()) / 3e4
        )
        assert factor == pytest.approx(1 / suv_to_activity())


@pytest.mark.parametrize("channel", ["CT", "PET"])
def test_simpleitk_reads_the_series_on_the_drawn_grid(cohorts, truth, channel):
    session = truth["petct"][1]
    image = read_series(cohorts["petct-dicom"] / f"scans/s01_t1_{channel}")
    assert np.allclose(matrix_of(image), session.geometries[channel].matrix, atol=1e-5)
    expected = session.images[channel] * (suv_to_activity() if channel == "PET" else 1)
    step = 0.5 if channel == "CT" else float(expected.max()) / 3e4
    assert np.abs(sitk.GetArrayFromImage(image) - expected).max() <= step + 1e-2


@pytest.mark.parametrize("kind", ["dicom", "nifti"])
def test_truth_and_image_coincide_in_the_world(cohorts, truth, kind):
    out = cohorts[f"petct-{kind}"]
    for session in truth["petct"]:
        name = f"sub-s01_ses-t{session.index}.nii.gz"
        mask = sitk.ReadImage(out / f"truth/identities/{name}")
        binary = sitk.ReadImage(out / f"truth/{name}")
        assert np.array_equal(sitk.GetArrayFromImage(binary), session.lesions > 0)
        if kind == "dicom":
            image = read_series(out / f"scans/s01_t{session.index}_CT")
        else:
            image = sitk.ReadImage(out / f"scans/s01_t{session.index}_CT.nii.gz")
        assert np.allclose(matrix_of(mask), matrix_of(image), atol=1e-4)
        assert np.array_equal(sitk.GetArrayFromImage(mask), session.lesions)


def test_nifti_holds_the_arrays_in_right_anterior_superior(cohorts, truth):
    for modality, channels in (("petct", ("CT", "PET")), ("xct", ("XCT",))):
        session = truth[modality][0]
        for channel in channels:
            image = nib.load(cohorts[f"{modality}-nifti"] / f"scans/s01_t0_{channel}.nii.gz")
            lps = np.diag([-1, -1, 1, 1]) @ image.affine
            assert np.allclose(lps, session.geometries[channel].matrix, atol=1e-4)
            assert image.header.get_xyzt_units()[0] == "mm"
            step = 0 if channel == "PET" else 0.5
            values = np.asarray(image.dataobj, dtype=np.float64).T
            assert np.abs(values - session.images[channel]).max() <= step + 1e-3


def test_a_series_is_one_series_of_unlike_slices(cohorts):
    studies, seen = set(), set()
    for folder in sorted((cohorts["petct-dicom"] / "scans").iterdir()):
        read = slices(folder)
        assert len({d.SeriesInstanceUID for d in read}) == 1
        assert read[0].SeriesInstanceUID not in seen
        assert len({d.SOPInstanceUID for d in read}) == len(read)
        assert [d.InstanceNumber for d in read] == list(range(1, len(read) + 1))
        assert all(len(d.SOPInstanceUID) <= 64 for d in read)
        seen.add(read[0].SeriesInstanceUID)
        studies.add(read[0].StudyInstanceUID)
    assert len(seen) == 4
    assert len(studies) == 2


def test_headers_hold_nobody(cohorts):
    for file in (cohorts["petct-dicom"] / "scans").rglob("*.dcm"):
        data = pydicom.dcmread(file, stop_before_pixels=True)
        assert str(data.PatientName) == "Phantom^Synthetic"
        assert {data.StudyDate, data.SeriesDate, data.AcquisitionDate} == {"20000101"}
        assert not data.PatientBirthDate


def test_lesion_and_event_tables_agree_with_the_masks(cohorts, truth):
    for modality in ("petct", "xct"):
        out = cohorts[f"{modality}-nifti"]
        rows = table(out / "truth/lesions.csv")
        for session in truth[modality]:
            here = [r for r in rows if r["session"] == f"t{session.index}"]
            counts = {int(r["lesion_id"]): int(r["voxels"]) for r in here}
            ids = [int(i) for i in np.unique(session.lesions) if i]
            assert counts == {i: int((session.lesions == i).sum()) for i in ids}
        events = table(out / "truth/events.csv")
        assert [(r["change"], int(r["lesion_id"])) for r in events] == [
            (e.change, e.lesion_id) for s in truth[modality] for e in s.events
        ]


def test_centroids_are_in_patient_millimetres(cohorts, truth):
    row = table(cohorts["xct-nifti"] / "truth/lesions.csv")[0]
    session = truth["xct"][0]
    index = np.argwhere(session.lesions == int(row["lesion_id"]))
    world = (index @ np.diag([0.01] * 3)).mean(axis=0)[::-1] + session.geometries["XCT"].matrix[
        :3, 3
    ]
    assert [float(row[f"centroid_{a}_mm"]) for a in "xyz"] == pytest.approx(list(world), abs=1e-5)


def test_the_movement_is_written_per_session(cohorts, truth):
    told = json.loads((cohorts["petct-dicom"] / "truth/movement.json").read_text())["subjects"][
        "s01"
    ]
    for session in truth["petct"]:
        assert np.array_equal(told[f"t{session.index}"], session.movement)


def test_writing_the_same_cohort_again_gives_the_same_bytes(tmp_path):
    def content(folder: Path) -> dict[str, bytes]:
        return {
            str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()
        }

    for kind in ("dicom", "nifti"):
        a, b = tmp_path / f"{kind}a", tmp_path / f"{kind}b"
        for out in (a, b):
            write_phantom(out, 1, 1, (8, 32, 32), "petct", kind, 2)
        first = content(a)
        assert first == content(b)
        (a / "cohort.yaml").unlink()  # as if it had been killed before the end
        write_phantom(a, 1, 1, (8, 32, 32), "petct", kind, 2)
        assert first == content(a)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"modality": "mr"}, "modality must be one of ct, petct, xct, got 'mr'"),
        ({"region": "leg"}, "region must be one of trunk, body, head, got 'leg'"),
        ({"region": "body", "modality": "ct"}, r"one of petct, pet, got 'ct' \(region body\)"),
        ({"region": "head", "format": "dicom"}, "mr is not written as DICOM; use format nifti"),
        ({"format": "tiff"}, "format must be one of dicom, nifti, got 'tiff'"),
        ({"modality": "xct", "format": "dicom"}, "use format nifti"),
        ({"shape": (8, 31, 32)}, "at least 8,32,32 voxels, got 8,31,32"),
        ({"subjects": 0}, "subjects must be at least 1, got 0"),
        ({"sessions": 0}, "sessions must be at least 1, got 0"),
        ({"seed": -1}, "seed must lie in 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, settings, words):
    with pytest.raises(ConfigError, match=words):
        write_phantom(tmp_path / "out", **{"shape": (8, 32, 32), **settings})
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds thesis\.txt; give a new or empty folder"):
        write_phantom(tmp_path, 1, 1, (8, 32, 32), "xct", "nifti")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_cohort_is_not_overwritten(tmp_path):
    write_phantom(tmp_path, 1, 1, (8, 32, 32), "xct", "nifti", 1)
    with pytest.raises(ConfigError, match="holds another cohort"):
        write_phantom(tmp_path, 1, 1, (8, 32, 32), "xct", "nifti", 2)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        write_phantom(tmp_path / "out", 1, 1, (8, 32, 32), "xct", "nifti")


def test_the_trunk_writes_what_it_wrote_before_there_were_regions(cohorts):
    for out in cohorts.values():
        assert "region" not in json.loads((out / "truth/phantom.json").read_text())
        assert list(table(out / "truth/lesions.csv")[0])[-1] == "last_z"
        assert not (out / "truth/physiology").exists()
