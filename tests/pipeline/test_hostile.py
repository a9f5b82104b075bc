"""Inputs made to harm: a clear refusal or a scan set aside, nothing executed, written elsewhere or told on."""

import ast
import gzip
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml

import somray
from somray.cli import main
from somray.phantom.files.write import write_phantom
from somray.report.pages import write_report
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest
from tests.syntax import syntax_tree

SOURCES = sorted(Path(somray.__file__).parent.rglob("*.py"))
MARKUP = "<img src=x onerror=alert(1)>"
SECRET = "hunter2-8f1c"


@pytest.fixture
def scan(tmp_path):
    save(tmp_path / "good.nii.gz", body())
    return tmp_path


@pytest.mark.parametrize(
    "name", ["../../escape", "a/b", "..", ".hidden", "a\\b", "s\n1", "%2e%2e", "s1;rm", "$HOME"]
)
@pytest.mark.parametrize("column", [0, 1])
def test_no_name_leads_out_of_the_run(scan, name, column, capsys):
    row = ["s1", "t0", "p", "good.nii.gz"]
    row[column] = name
    write_manifest(scan, [row])
    assert main(["run", str(scan / "cohort.yaml")]) == 2
    assert capsys.readouterr().err.count("Traceback") == 0
    assert not (scan / "run").exists()


def test_no_protocol_leads_out_of_the_run(scan):
    write_manifest(scan, [("s1", "t0", "../p", "good.nii.gz")], {"../p": QUICK})
    assert main(["run", str(scan / "cohort.yaml")]) == 2


def test_aliases_that_swell_are_refused(scan, capsys):
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (scan / "cohort.yaml").write_text("\n".join(["a0: &a0 [x]", *levels]))
    assert main(["check", str(scan / "cohort.yaml")]) == 2
    assert "alias" in capsys.readouterr().err


def _bomb(path):
    """A scan of 8 slices, followed by 240 MB of zeros in 240 kB."""
    plain = path.with_name("plain.nii")
    save(plain, body())
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(plain.read_bytes())]
    parts += [packer.compress(bytes(1 << 20)) for _ in range(240)]
    path.write_bytes(b"".join([*parts, packer.flush()]))


def _liar(path):
    """A header that promises 27 terabytes, and nothing behind it."""
    save(path, body())
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[40:56] = np.array([3, *[30000] * 3, 1, 1, 1, 1], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(data)))


def test_files_that_swell_take_no_memory(scan):
    _bomb(scan / "bomb.nii.gz")
    _liar(scan / "liar.nii.gz")
    rows = [(name, "t0", "p", f"{name}.nii.gz") for name in ("good", "bomb", "liar")]
    write_manifest(scan, rows)
    run_tiny(scan)  # what is loaded and compiled once is no matter
    (scan / "run").rename(scan / "before")
    tracemalloc.start()
    found = run_tiny(scan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found["broken"], found["failed"]) in (
        (0, 1),
        (0, 2),
    )  # a whole scan with a tail may be read
    assert peak < 120 * 2**20


def test_a_header_nested_without_end_is_set_aside(tmp_path):
    write_phantom(
        tmp_path, subjects=2, sessions=1, shape=(8, 32, 32), modality="ct", format="dicom", seed=1
    )
    file = next((tmp_path / "scans").rglob("*.dcm"))
    data = pydicom.dcmread(file)
    start = b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    data.save_as(file)
    whole = file.read_bytes()
    place = whole.index(b"\x08\x00\x60\x00CS")  # Modality, after which the sequence may stand
    file.write_bytes(whole[: place + 10] + start * 20_000 + whole[place + 10 :])
    config = yaml.safe_load((tmp_path / "cohort.yaml").read_text())
    config["protocols"] = dict.fromkeys(config["protocols"], QUICK)
    (tmp_path / "cohort.yaml").write_text(yaml.safe_dump(config))
    found = run_tiny(tmp_path)
    assert (found["broken"], found["failed"]) == (0, 1)


def test_markup_in_file_names_is_text_in_the_report(scan):
    (scan / "good.nii.gz").rename(scan / f"{MARKUP}.nii.gz".replace("/", ""))
    (scan / "bad.nii.gz").write_bytes(b"no scan")
    (scan / "bad.nii.gz").rename(scan / f"{MARKUP}2.nii.gz")
    write_manifest(
        scan, [("s1", "t0", "p", f"{MARKUP}.nii.gz"), ("s2", "t0", "p", f"{MARKUP}2.nii.gz")]
    )
    found = run_tiny(scan, report=write_report)
    assert found["failed"] == 1
    pages = [page.read_text() for page in (scan / "run/report").glob("*.html")]
    assert pages
    assert not any("<img src=x" in page for page in pages)
    assert any("&lt;img src=x" in page for page in pages)


def test_no_secret_stands_in_a_run_or_is_told(scan, monkeypatch, capfd):
    for name in ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    row = ("s2", "t0", "p", f"ftp://someone:{SECRET}@127.0.0.1:1/scan.nii.gz?sig={SECRET}")
    write_manifest(scan, [("s1", "t0", "p", "good.nii.gz"), row])
    found = run_tiny(scan, report=write_report)
    assert found["failed"] == 1
    holders = [
        file
        for file in (scan / "run").rglob("*")
        if file.is_file() and SECRET.encode() in file.read_bytes()
    ]
    assert holders == []
    assert SECRET not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "place", [f"s3://key:{SECRET}@bucket/run", f"https://host/run?sig={SECRET}"]
)
def test_an_output_with_a_secret_is_refused_without_saying_it(scan, place, capsys):
    write_manifest(scan, [("s1", "t0", "p", "good.nii.gz")])
    assert main(["run", str(scan / "cohort.yaml"), "--set", f"output={place}"]) == 2
    told = capsys.readouterr().err
    assert "environment" in told
    assert SECRET not in told


def test_nothing_of_the_product_loads_a_pickle():
    """Ray's own messages travel as pickles between its processes; nothing of a run is one."""
    for file in SOURCES:
        for node in ast.walk(syntax_tree(file)):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not names & {
                    "pickle",
                    "cloudpickle",
                    "shelve",
                    "marshal",
                    "joblib",
                    "dill",
                }, file
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "load":
                called = ast.unparse(node.func)
                assert called != "torch.load", file
                if called in ("np.load", "numpy.load"):
                    given = {k.arg: ast.unparse(k.value) for k in node.keywords}
                    assert given.get("allow_pickle") == "False", file
