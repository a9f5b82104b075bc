"""A real Orthanc on free ports of loopback, scans that are sent to it by dcmtk, and a node whose clock tests turn."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import warnings
from pathlib import Path

import highdicom
import httpx
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from somray.cli import main
from somray.commands.dicom_node.destination import destination_of
from somray.commands.dicom_node.fingerprint import known_protocols
from somray.commands.dicom_node.journal import Journal
from somray.commands.dicom_node.node import DicomNode
from somray.commands.dicom_node.settings import NodeSettings
from somray.domain.brick import Brick
from somray.io.archive import ArchiveConnection, Orthanc
from somray.io.ome.image import read_label_brick, read_meta
from somray.io.run import open_run
from somray.io.storage import Storage

ORTHANC = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "node", "a secret of the node"
SETTLE, PAIR = 10.0, 60.0
NAME, PATIENT = "Hidden^Person", "HIDDEN-ID"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class OrthancServer:
    """One Orthanc; what it holds outlives `stop` and `start`."""

    def __init__(self, folder):
        if not Path(ORTHANC).exists() or shutil.which("storescu") is None:
            pytest.skip("Orthanc or dcmtk's storescu (Debian's orthanc, dcmtk) is not installed")
        self.port, self.dicom_port = free_port(), free_port()
        self.has_dicomweb = DICOMWEB.exists()
        self._log = folder / "log"
        self._config = folder / "orthanc.json"
        told = {
            "Name": "test", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "HttpPort": self.port, "DicomPort": self.dicom_port, "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False, "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD},
            "DicomAlwaysAllowStore": True, "DicomCheckCalledAet": False, "StableAge": 1,
            "Plugins": [str(DICOMWEB)] if self.has_dicomweb else [],
        }  # fmt: skip
        self._config.write_text(json.dumps(told))
        self._process = None
        self.start()

    @property
    def url(self):
        return f"http://{USER}@127.0.0.1:{self.port}"

    @property
    def peer(self):
        return f"ORTHANC@127.0.0.1:{self.dicom_port}"

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([ORTHANC, self._config], stdout=log, stderr=log)
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(httpx.TransportError):
                self.ask("/system")
                return
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            assert time.monotonic() < end
            time.sleep(0.05)

    def stop(self):
        self._process.kill()
        self._process.wait()

    def ask(self, path, method="GET", **more):
        answer = httpx.request(
            method, f"http://127.0.0.1:{self.port}{path}", auth=(USER, PASSWORD), timeout=30, **more
        )
        answer.raise_for_status()
        return answer

    def clear(self):
        for patient in self.ask("/patients").json():
            self.ask(f"/patients/{patient}", "DELETE")

    def send(self, *files, syntax="-xe"):
        """Send files or folders in one association."""
        command = ["storescu", syntax, "-aec", "ORTHANC", "+sd", "127.0.0.1", str(self.dicom_port)]
        subprocess.run([*command, *map(str, files)], check=True, capture_output=True)

    def objects(self, modality):
        """Return all objects of a modality, oldest first."""
        found = []
        for series in self.ask("/series?expand").json():
            if series["MainDicomTags"]["Modality"] == modality:
                for instance in series["Instances"]:
                    when = self.ask(f"/instances/{instance}/metadata/IndexInSeries").text
                    data = self.ask(f"/instances/{instance}/file").content
                    found.append((series["LastUpdate"], when, instance, data))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [pydicom.dcmread(pydicom.filebase.DicomBytesIO(one[3])) for one in found]


def copied(source, target, key, change=None, **elements):
    """Copy a series as another patient's of the study `key`; `change` gets each dataset and its number."""
    target.mkdir(parents=True)
    for n, file in enumerate(sorted(source.glob("*.dcm"))):
        data = pydicom.dcmread(file)
        for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
            setattr(data, name, generate_uid(entropy_srcs=[key, name]))
        data.SeriesInstanceUID = generate_uid(entropy_srcs=[key, data.Modality, "series"])
        data.SOPInstanceUID = generate_uid(entropy_srcs=[key, data.Modality, str(n)])
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.PatientName, data.PatientID = NAME, f"{PATIENT}-{key}"
        for name, value in elements.items():
            setattr(data, name, value)
        if change is not None:
            change(data, n)
        data.save_as(target / file.name, enforce_file_format=True)
    return target


class TurnedNode:
    """A node that is turned by hand, with a clock of its own."""

    def __init__(self, run, server, journal, *, report=False, send_to=None, stow=None, **settings):
        self.journal, self.now = journal, 1000.0
        rules = {
            "method": "som",
            "settle_seconds": SETTLE,
            "pair_seconds": PAIR,
            "poll_seconds": 0.01,
            "begins_with_all": True,
        }
        told = NodeSettings(str(run), report=report, **(rules | settings))
        stored = open_run(run)
        self.archive = archive = Orthanc(ArchiveConnection(server.url, PASSWORD))
        self.node = DicomNode(
            told,
            stored,
            known_protocols(stored, told.protocols),
            archive,
            destination_of(archive, send_to, stow, PASSWORD, "SOMRAY"),
            journal,
        )
        self.node.clock = lambda: self.now

    def after(self, seconds=0.0):
        """Turn once, so many seconds later."""
        self.now += seconds
        self.node.turn()
        return self

    def settled(self):
        """Turn until what has arrived is settled."""
        return self.after().after(SETTLE + 1)

    def answered(self):
        """Turn until it is answered, though another channel might still come."""
        return self.settled().after(PAIR + 1)

    @property
    def states(self):
        return sorted(entry.state for entry in self.journal.entries.values())

    @property
    def codes(self):
        return sorted(entry.code for entry in self.journal.entries.values() if entry.code)


@contextlib.contextmanager
def turned_node(run, server, state, **options):
    with Journal(state, f"http://127.0.0.1:{server.port}").opened() as journal:
        node = TurnedNode(run, server, journal, **options)
        with contextlib.closing(node.archive), contextlib.closing(node.node._destination):
            yield node


def node_arguments(run, server, state, *more):
    return [
        "dicom-node", str(run), "--archive", server.url, "--state", str(state), "--settle", "0.2",
        "--pair-wait", "0.2", "--poll", "0.05", "--method", "som", "--once", *more,
    ]  # fmt: skip


def places_of_segmentation(data):
    """Return LPS mm of every voxel that any segment holds, as highdicom reads it; sorted."""
    seg = highdicom.seg.Segmentation.from_dataset(data)
    volume = seg.get_volume(combine_segments=True, rescale_fractional=False)
    return _sorted(volume.map_indices_to_reference(np.argwhere(volume.array > 0)))


def places_of_apply(run, out, protocol, source, *further, method="som"):
    """Return the same of the target as `somray apply` draws it."""
    channels = [word for one in further for word in ("--channel", str(one))]
    arguments = ["--protocol", protocol, "--method", method, "--out", str(out), *channels]
    assert main(["apply", str(run), str(source), *arguments]) == 0
    storage, name = Storage.at(out), "scans/sub-new_ses-t0.ome.zarr"
    meta = read_meta(storage, name)
    depth, *plane = meta.geometry.shape
    drawn = read_label_brick(storage, name, method, Brick.of_slices(0, 0, depth, tuple(plane)))
    value = open_run(run).teacher(protocol).value_of("lesion")
    return _sorted(meta.geometry.to_world(np.argwhere(drawn == value).astype(float)))


def _sorted(places):
    rounded = np.round(places, 3) + 0.0
    return rounded[np.lexsort(rounded.T)]


def assert_valid(data, folder):
    """Have dciodvfy find no error in an object."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    file = folder / f"{data.SOPInstanceUID}.dcm"
    data.save_as(file)
    told = subprocess.run(["dciodvfy", "-new", file], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr + told.stdout, told.stderr
