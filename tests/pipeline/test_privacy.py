"""Nothing that names or dates a person leaves a header: every byte of a run is looked at."""

import csv
import shutil

import numpy as np
import pyarrow.parquet as pq
import pydicom
import pytest
import yaml
import zarr

from somray.cli import main
from somray.commands.launch import load_cohort
from somray.phantom.files.write import write_phantom
from somray.pipeline.cohort import run_cohort
from somray.report.pages import write_report
from somray.runtime.serial import SerialExecutor

TEXTS = {
    "PatientName": "Zyxwuth^Quintessa", "PatientID": "PID-8461973", "OtherPatientIDs": "ALT-5519042",
    "PatientBirthDate": "19330917", "PatientBirthTime": "031759", "StudyDate": "20190704",
    "SeriesDate": "20190704", "AcquisitionDate": "20190705", "ContentDate": "20190706",
    "StudyTime": "134759.25", "SeriesTime": "134801.5", "AcquisitionTime": "134913.75",
    "ContentTime": "135117.125", "AccessionNumber": "ACC-77120358", "PatientComments": "Kestrelwick",
    "ImageComments": "Marrowbeam", "ReferringPhysicianName": "Oxblood^Thaddeus", "StudyID": "STU-991827",
    "InstitutionName": "Hallowmere Infirmary", "StudyDescription": "Pennyfarthing", "StationName": "WXQJ-17",
    "PatientAddress": "Tumbledown Lane", "DeviceSerialNumber": "SN-60417395",
    "StudyInstanceUID": "1.2.826.0.1.4837261.1", "SeriesInstanceUID": "1.2.826.0.1.4837261.2",
    "FrameOfReferenceUID": "1.2.826.0.1.4837261.3",
}  # fmt: skip
PRIVATE = "Vandershire"
SECRETS = sorted(
    {PRIVATE, "1.2.826.0.1.4837261", "2019-07-0", "1933-09-17"}
    | {word for text in TEXTS.values() for word in text.replace("^", " ").split() if len(word) > 4}
)


def plant(folder, edit=None):
    """Put names, ids and dates into every file of a series, and whatever `edit` changes."""
    for number, file in enumerate(sorted(folder.glob("*.dcm"))):
        data = pydicom.dcmread(file)
        for keyword, value in TEXTS.items():
            setattr(data, keyword, value)
        data.SOPInstanceUID = f"1.2.826.0.1.4837261.9.{number}"
        block = data.private_block(0x0099, PRIVATE, create=True)
        block.add_new(0x01, "LO", PRIVATE)
        if edit is not None:
            edit(data, number)
        data.save_as(file)


def interleave(data, number):
    data.AcquisitionNumber = 1 + number % 2


def misplace(data, number):
    """Let a name stand where a number belongs."""
    data.add_new(0x00281053, "LO", TEXTS["PatientName"] if number else "1")


def other_patient(data, number):
    data.PatientID = TEXTS["PatientID"] + str(number // 6)


def other_series(data, number):
    data.SeriesInstanceUID += f".{number // 6}"


def another_kind(data, number):
    data.Modality = "PT"


def cut(folder):
    file = sorted(folder.glob("*.dcm"))[3]
    file.write_bytes(file.read_bytes()[:900])


BROKEN = {
    "woven": interleave, "misplaced": misplace, "patients": other_patient, "series": other_series,
    "kind": another_kind,
}  # fmt: skip


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    write_phantom(
        folder, subjects=1, sessions=1, shape=(12, 48, 48), modality="ct", format="dicom", seed=3
    )
    (row,) = csv.DictReader((folder / "scans.csv").read_text().splitlines())
    rows = [row]
    for name, edit in {**BROKEN, "cut": None}.items():
        shutil.copytree(folder / row["path"], folder / f"scans/{name}")
        plant(folder / f"scans/{name}", edit)
        rows.append({**row, "subject": name, "path": f"scans/{name}", "days": "", "truth": ""})
    cut(folder / "scans/cut")
    plant(folder / row["path"])
    with (folder / "scans.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        writer.writeheader()
        writer.writerows(rows)
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    for protocol in config["protocols"].values():
        protocol |= {"segment": "som", "registration": {"pairs": []}}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
    summary = run_cohort(load_cohort(folder / "cohort.yaml", ()), SerialExecutor(), write_report)
    assert summary["failed"] == len(BROKEN) + 1
    return folder


def contents(run):
    """Yield every file of a run, as it lies there and unpacked."""
    for file in sorted(p for p in run.rglob("*") if p.is_file()):
        yield file, file.read_bytes()
        if file.suffix == ".parquet":
            table = pq.read_table(file, partitioning=None)
            yield file, (repr(table.to_pylist()) + str(table.schema)).encode()
    for meta in sorted(run.rglob("zarr.json")):
        node = zarr.open(meta.parent, mode="r")
        if isinstance(node, zarr.Array):
            yield meta, np.asarray(node[...]).tobytes()


def test_no_byte_of_a_run_names_or_dates_a_person(run_folder):
    source = next((run_folder / "scans/s01_t0_CT").glob("*.dcm")).read_bytes()
    assert sum(secret.encode() in source for secret in SECRETS) > 25  # the planting took
    seen = 0
    for file, content in contents(run_folder / "run"):
        seen += 1
        for secret in SECRETS:
            for written in (secret.encode(), secret.encode("utf-16-le")):
                assert written not in content, f"{secret} in {file}"
    assert seen > 60
    told = pq.read_table(run_folder / "run/tables/failures").to_pylist()
    assert {row["code"] for row in told} == {
        "mixed_series", "unreadable", "wrong_modality", "truncated",
    }  # fmt: skip


def test_no_word_of_check_or_init_names_or_dates_a_person(run_folder, tmp_path, capsys):
    main(["check", str(run_folder / "cohort.yaml"), "--json"])
    main(["init", str(run_folder / "scans"), "--out", str(tmp_path / "new")])
    told = capsys.readouterr()
    words = told.out + told.err
    words += "".join(p.read_text() for p in (tmp_path / "new").glob("*.*"))
    assert "mixed_series" in words
    for secret in SECRETS:
        assert secret not in words
