"""Scans over HTTP: the voxels of `somray apply`, whatever way they come, and nothing that names a patient goes out."""

import gzip
import io
import json
import logging
import tempfile
import zipfile

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import Dataset

from somray.commands.apply.model import apply_model
from somray.commands.serve.settings import Limits
from somray.io.run import open_run
from tests.commands.serve.served import Served
from tests.io.dicom_files import make_slice
from tests.pipeline.tiny import body, save

SECRET = "Secret^Name"


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    file = tmp_path_factory.mktemp("scan") / "SecretName_1955.nii.gz"
    save(file, body(seed=5, radius=5.0))
    return file


@pytest.fixture(scope="module")
def applied(served_run, scan, tmp_path_factory):
    """Class maps of `somray apply` by method, and what it told."""
    found = {}
    for method in ("som", "student"):
        out = tmp_path_factory.mktemp(method)
        told = apply_model(str(served_run), "p", [str(scan)], out, method)
        found[method] = told, open_run_scan(out, method)
    return found


def open_run_scan(out, method):
    from somray.io.run import StoredRun

    return StoredRun(str(out)).scan("new", "t0")[method].values


def loaded(data):
    return np.load(io.BytesIO(data), allow_pickle=False)


def sent(served, file, accept="application/x-npy", name="scan", **query):
    data = file if isinstance(file, bytes) else file.read_bytes()
    files, headers = {"CT": (name, data)}, {"Accept": accept}
    return served.client.post("/scans", params=query, files=files, headers=headers)


@pytest.mark.parametrize("method", ["som", "student"])
def test_the_voxels_are_those_of_apply(served, scan, applied, method):
    told, labels = applied[method]
    found = sent(served, scan, method=method)
    assert found.status_code == 200
    assert np.array_equal(loaded(found.content), labels)
    facts = sent(served, scan, "application/json", method=method).json()
    areas = [one["target_area_mm2"] for one in facts["slices"]]
    assert areas == pytest.approx(told["target_area_mm2"])
    assert facts["volumes_ml"][0]["lesion"] == pytest.approx(sum(areas) * 2.0 / 1000)
    if method == "som":
        assert facts["drift"] == told["drift"]


def test_nifti_lies_on_the_grid_of_the_source_and_tells_the_verdict(served, scan, applied):
    found = sent(served, scan, "application/gzip", what="target")
    assert found.headers["Somray-Verdict"] == "ok"
    image = nib.Nifti1Image.from_bytes(gzip.decompress(found.content))
    assert np.array_equal(np.asarray(image.dataobj).T, applied["som"][1][0] == 3)
    assert np.allclose(image.affine, nib.load(scan).affine)
    assert bytes(image.header["descrip"].tobytes()).startswith(b"somray som ok; ")
    assert b"not for clinical use" in image.header["descrip"].tobytes()


def test_a_zip_of_answers_holds_every_map(served, scan, applied):
    found = sent(served, scan, "application/zip")
    with zipfile.ZipFile(io.BytesIO(found.content)) as packed:
        assert packed.namelist() == ["answer.json"] + [
            f"{n}.nii.gz" for n in ("classes", "target", "confidence")
        ]
        facts = json.loads(packed.read("answer.json"))
        classes = nib.Nifti1Image.from_bytes(gzip.decompress(packed.read("classes.nii.gz")))
    assert facts["warnings"]
    assert "volumes_ml" in facts
    assert np.array_equal(np.asarray(classes.dataobj).T, applied["som"][1][0])


def test_a_drifted_scan_says_so(served, tmp_path):
    noise = np.random.default_rng(1).normal(0, 150, (8, 32, 32))
    save(tmp_path / "x.nii.gz", (body(seed=5) + noise).astype(np.int16))
    found = sent(served, tmp_path / "x.nii.gz", "application/gzip")
    image = nib.Nifti1Image.from_bytes(gzip.decompress(found.content))
    assert found.headers["Somray-Verdict"] == "drifted"
    assert b"drifted" in image.header["descrip"].tobytes()


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii"])
def test_other_formats_give_the_same(served, scan, applied, tmp_path, suffix):
    file = tmp_path / f"x{suffix}"
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(scan)), str(file))
    assert np.array_equal(loaded(sent(served, file).content), applied["som"][1])


def dicom_slices(count=8):
    """A CT series that names a patient."""
    volume = body((count, 32, 32), seed=5)
    for z, plane in enumerate(volume):
        yield make_slice(
            (0, 0, 2.0 * z),
            Rows=32,
            Columns=32,
            PixelSpacing=[0.8, 0.8],
            RescaleSlope="1",
            RescaleIntercept="0",
            PixelData=plane.astype("<i2").tobytes(),
            PatientName=SECRET,
        )


def dicom_zip(slices, extra=None):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for n, data in enumerate(slices):
            one = io.BytesIO()
            data.save_as(one, enforce_file_format=True)
            packed.writestr(f"../../{SECRET}/{n}.dcm", one.getvalue())
        for name, data in (extra or {}).items():
            packed.writestr(name, data)
    return file.getvalue()


def test_a_zip_of_dicom_is_read_whatever_its_names_say(served, tmp_path):
    save(tmp_path / "same.nii.gz", body((8, 32, 32), seed=5))
    archive = dicom_zip(dicom_slices(), {"README.txt": b"hello", "inner.zip": b"PK\3\4"})
    found = sent(served, archive, name=f"{SECRET}.zip")
    assert found.status_code == 200
    assert np.array_equal(
        loaded(found.content), loaded(sent(served, tmp_path / "same.nii.gz").content)
    )


def test_nothing_of_a_header_or_a_name_goes_out_or_into_a_log(served, caplog):
    damaged = list(dicom_slices())
    damaged[3].PixelData = b"\0\0"
    other = list(dicom_slices())
    other[5].Modality = "SECRET"
    with caplog.at_level(logging.DEBUG):
        replies = [
            sent(served, dicom_zip(s), "application/json", f"{SECRET}.zip")
            for s in (damaged, other)
        ]
        replies.append(sent(served, b"PK\3\4" + SECRET.encode(), name=f"{SECRET}.zip"))
        replies.append(sent(served, SECRET.encode() * 99, name=f"{SECRET}.dcm"))
        replies.append(sent(served, dicom_zip(dicom_slices()), "application/zip", f"{SECRET}.zip"))
    assert [r.status_code for r in replies] == [422, 422, 422, 415, 200]
    said = (
        " ".join(r.text + str(r.headers) for r in replies[:4])
        + str(replies[4].headers)
        + caplog.text
    )
    with zipfile.ZipFile(io.BytesIO(replies[4].content)) as packed:
        said += packed.read("answer.json").decode()
    for word in ("Secret", "SECRET", "somray-serve-", "1955"):
        assert word not in said


def test_nothing_is_left_on_disk(served, scan, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert sent(served, scan).status_code == 200
    assert sent(served, b"\x1f\x8bnonsense").status_code == 422
    assert list(tmp_path.iterdir()) == []


def test_a_named_scan_lies_below_an_allowed_place(served, served_run, scan, tmp_path):
    inside = served_run.parent / "a.nii.gz"
    asked = {"uris": {"CT": str(inside)}}
    found = served.client.post("/scans", json=asked, headers={"Accept": "application/x-npy"})
    assert np.array_equal(loaded(found.content), open_run(served_run).scan("s1", "t0").som.values)
    for uri in (
        str(scan),
        f"{served_run.parent}/../x.nii",
        "relative.nii",
        "http://169.254.169.254/x",
        5,
        "",
    ):
        assert served.client.post("/scans", json={"uris": {"CT": uri}}).status_code in (403, 422)
    gone = served.client.post("/scans", json={"uris": {"CT": f"{served_run.parent}/none.nii"}})
    assert gone.status_code == 404
    assert str(served_run.parent) not in gone.text


@pytest.mark.parametrize(
    "text",
    [
        "ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = {}\n",
        "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: {}\n\n",
    ],
)
def test_a_header_does_not_reach_other_files(served, tmp_path, text):
    target = tmp_path / "private.raw"
    target.write_bytes(bytes(range(64)))
    found = sent(served, text.format(target).encode())
    assert found.status_code == 403
    assert str(target) not in found.text


def test_forms_and_bodies_that_do_not_fit_are_refused(served, scan):
    post = served.client.post
    assert post("/scans", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert post("/scans", json=[1]).status_code == 422
    assert post("/scans", json={"uris": {}}).status_code == 422
    assert post("/scans", json={"uris": {"MR": "/x"}}).status_code == 422
    assert (
        post("/scans", content=b"{", headers={"Content-Type": "application/json"}).status_code
        == 422
    )
    assert post("/scans", files={"PET": b"x"}).status_code == 422
    assert post("/scans", files=[("CT", b"x"), ("CT2", b"x")]).status_code == 422
    assert sent(served, scan, what="soul").status_code == 422
    assert sent(served, scan, method="magic").status_code == 422


def test_a_scan_beyond_the_limit_is_refused_by_its_header(served_run, scan):
    small = Served(served_run, Limits(max_voxels=8 * 32 * 32 - 1))
    found = sent(small, scan)
    assert found.status_code == 413
    assert "8191" in found.json()["error"]["message"]


def test_a_bomb_of_gzip_is_refused_by_its_header(served):
    header = nib.Nifti1Header()
    header.set_data_shape((30000, 30000, 30000))
    header.set_data_dtype(np.uint8)
    header["vox_offset"], header["magic"] = 352, b"n+1\0"
    packed = gzip.compress(header.binaryblock + bytes(4) + bytes(1 << 20))
    assert sent(served, packed).status_code in (413, 422)


def test_dicom_with_absurd_sizes_is_refused(served):
    huge = list(dicom_slices(2))
    for data in huge:
        data.Rows, data.Columns = 60000, 60000
    assert sent(served, dicom_zip(huge)).status_code in (413, 422)
    many: list[Dataset] = list(dicom_slices(1))
    many[0].NumberOfFrames = "100000000"
    assert sent(served, dicom_zip(many)).status_code in (413, 422)
