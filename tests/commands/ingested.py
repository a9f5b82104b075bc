"""A run without its fits: sources ingested as they are, masks drawn in the patient, and what a run says of itself."""

import json

import numpy as np
import yaml

from somray.config import parse_config
from somray.domain.run import RunLayout
from somray.io.cohort.manifest import load_manifest
from somray.io.ome import image as ome
from somray.io.storage import Storage
from somray.io.tables import row_to_plain
from somray.stages import ingest
from tests.compacted import compact

CLASSES = {1: "background", 2: "normal", 3: "lesion", 4: "boundary"}


def ingested(folder, rows, draw, *, channels=("CT",), modality="other", irregular="refuse"):
    """Ingest sources and put masks on them.

    Args:
        folder: holds `scans.csv` and `run` afterwards.
        rows: (subject, session, path) or (subject, session, path, channel).
        draw: LPS mm (n, 3) of every voxel, and the time point, to lesion ids (n,).
        channels, modality, irregular: of the one protocol, `p`.

    Returns:
        The folder of the run.
    """
    lines = ["subject,session,protocol,path,channel"]
    for subject, session, path, *channel in rows:
        lines.append(f"{subject},{session},p,{path},{channel[0] if channel else channels[0]}")
    (folder / "scans.csv").write_text("\n".join(lines) + "\n")
    storage = Storage.at(folder / "run")
    rules = {"modality": modality, "channels": list(channels), "irregular": irregular}
    config = {"scans": str(folder / "scans.csv"), "output": storage.root, "protocols": {"p": rules}}
    storage.write_text(RunLayout.config, yaml.safe_dump(config))
    storage.write_text(RunLayout.info, json.dumps({"seed": 0, "started": 1.5}))
    found = []
    for scan in load_manifest(folder / "scans.csv", parse_config(config)):
        windows = (None,) * len(channels)
        item = ingest.IngestItem(
            storage.root, scan, modality, tuple(channels), windows, irregular, 1.0
        )
        found += ingest.run(item).rows["scans"]
        _mask(storage, RunLayout.scan(scan.subject, scan.session), draw)
    compact(storage, "scans", "p", [row_to_plain(row) for row in found])
    return folder / "run"


def _mask(storage, name, draw):
    meta = ome.read_meta(storage, name)
    size = meta.shape[2:]
    places = meta.geometry.to_world(np.indices(size).reshape(3, -1).T.astype(float))
    for label, kind in (("lesions", "int32"), ("student", "uint8"), ("som", "uint8")):
        ome.create_labels(storage, name, label, kind)
        for t in range(meta.shape[0]):
            drawn = np.asarray(draw(places, t)).reshape(size)
            value = {"lesions": drawn, "student": 3 * (drawn > 0), "som": 2 + (drawn > 0)}[label]
            for brick in meta.bricks(t):
                ome.write_label_brick(storage, name, label, brick, value[brick.box].astype(kind))
        classes = {"lesions": {}, "student": {3: "lesion"}, "som": CLASSES}[label]
        ome.finish_labels(storage, name, label, classes)


def balls(*balls_mm):
    """Return a `draw` of balls: (x, y, z, radius) in LPS mm, lesions 1, 2 … in the order given."""

    def draw(places, t):
        found = np.zeros(len(places), int)
        for n, (x, y, z, radius) in enumerate(balls_mm, start=1):
            found[np.linalg.norm(places - (x, y, z), axis=1) < radius] = n
        return found

    return draw
