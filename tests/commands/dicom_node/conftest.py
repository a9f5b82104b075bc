"""One fitted run of a CT and a PET/CT protocol, its sources as DICOM, and one Orthanc, for all tests of the room."""

import csv

import pytest
import yaml

from somray.phantom.files.write import write_phantom
from tests.commands.dicom_node.servers import OrthancServer
from tests.pipeline.tiny import run_tiny

STUDENT = {"segment": "student", "student": {"rounds": 1, "steps": 4, "threads": 1}}
QUICK = {"segment": "som", "registration": {"pairs": []}}


@pytest.fixture(scope="session")
def fitted(tmp_path_factory):
    """A folder with `run`, and the series `ct_CT`, `petct_CT` and `petct_PET` that it was fitted on."""
    folder = tmp_path_factory.mktemp("node")
    rows = []
    for kind, shape, seed in (("ct", (10, 48, 48), 3), ("petct", (8, 32, 32), 5)):
        write_phantom(
            folder / kind, subjects=1, sessions=1, shape=shape, modality=kind, format="dicom", seed=seed
        )  # fmt: skip
        for row in csv.DictReader((folder / kind / "scans.csv").read_text().splitlines()):
            path = f"{kind}/{row['path']}"
            rows.append((f"{kind}1", "t0", kind, path, row["channel"]))
            (folder / f"{kind}_{row['channel']}").symlink_to(folder / path)
    with (folder / "scans.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("subject", "session", "protocol", "path", "channel"))
        writer.writerows(rows)
    protocols = {
        "ct": {"modality": "CT", **QUICK, **STUDENT},
        "petct": {"modality": "PETCT", **QUICK},
    }
    told = {"scans": "scans.csv", "output": "run", "seed": 1, "protocols": protocols}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(told))
    run_tiny(folder)
    return folder


@pytest.fixture(scope="session")
def _orthanc(tmp_path_factory):
    server = OrthancServer(tmp_path_factory.mktemp("orthanc"))
    yield server
    server.stop()


@pytest.fixture
def orthanc(_orthanc):
    """The Orthanc, empty."""
    _orthanc.clear()
    return _orthanc
