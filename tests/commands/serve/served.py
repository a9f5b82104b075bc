"""A tiny run that is served: one CT protocol, a student of a few steps, two scans of which one is brighter."""

import io
from collections import Counter
from dataclasses import replace

import numpy as np
from starlette.testclient import TestClient

import somray
from somray.commands.serve.settings import Limits, Settings
from somray.commands.serve.web.protocol import protocol_application
from somray.commands.serve.web.root import root_application
from somray.commands.serve.web.service import ProtocolService
from somray.io.models import write_segmenter, write_student
from somray.io.run import open_run
from somray.io.storage import Storage
from somray.stages.answers.fitted import load_fitted
from tests.pipeline.tiny import body, run_tiny, save, write_manifest
from tests.stages.answers.tuned import noisy_segmenter

SPACING = (2.0, 0.8, 0.8)
PLANE = SPACING[1:]
TOKEN = "a-token-of-many-letters"
QUERY = {"spacing_mm": "0.8,0.8"}
NPY = {"Content-Type": "application/x-npy"}


def make_run(folder, with_student=True):
    """Fit the teacher on a tiny scan, and lay a hardly trained student and a segmenter beside it."""
    volume = body()
    save(folder / "a.nii.gz", volume)
    write_manifest(folder, [("s1", "t0", "p", "a.nii.gz")])
    run_tiny(folder)
    if not with_student:
        return folder / "run"
    images = volume[2:4].astype(np.float32)
    student = somray.Student(channels=("CT",), steps=5).fit(images, images > 200)
    model = replace(student.model, spacing_mm=PLANE)
    write_student(Storage.at(folder / "run"), "p", model)
    write_segmenter(Storage.at(folder / "run"), "p", noisy_segmenter())
    return folder / "run"


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def settings_for(run, **changes):
    return Settings(**{"run": str(run), "protocols": ("p",), "threads": 2} | changes)


class Counts:
    """Keeps what is counted."""

    def __init__(self):
        self.answers, self.waiting = Counter(), {}

    def answered(self, what, status, verdict, seconds):
        assert seconds >= 0
        self.answers[what, status, verdict] += 1

    def waits(self, what, count):
        self.waiting[what] = count


class Served:
    """One protocol's application in this process."""

    def __init__(self, run, limits=None, **changes):
        self.settings = settings_for(run, limits=limits or Limits(), **changes)
        self.fitted = load_fitted(open_run(run), "p")
        self.meter = Counts()
        self.service = ProtocolService(self.fitted, self.settings, self.meter)
        self.client = client_of(protocol_application(self.service, self.settings))

    def slice(self, image, headers=None, **query):
        found = {**NPY, **(headers or {})}
        return self.client.post(
            "/slices", params={**QUERY, **query}, content=npy(image), headers=found
        )


def client_of(application):
    return TestClient(application, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)


def root_of(run, ready=True, **changes):
    settings = settings_for(run, **changes)
    return client_of(root_application(settings, lambda: {"p": ready}, lambda: "somray_x 1\n"))
