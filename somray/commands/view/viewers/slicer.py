"""3D Slicer: NRRD of every channel, segmentations with names and colours, and a script that loads them.

A file holds one time point: Slicer reads a fourth axis of a segmentation as overlapping layers, not as time.
Sessions hang under linear transforms, the way that registration found.
"""

import json
from pathlib import Path

from somray.commands.export.scans import labels_of
from somray.commands.view.programs import ViewerFiles
from somray.commands.view.scene import scene_of
from somray.commands.view.subject import ShownScan, ShownSubject
from somray.commands.view.viewers import in_slicer
from somray.commands.view.volumes import at_time, file_name, image_of
from somray.io.storage import Storage
from somray.io.writers.nrrd import write_nrrd, write_nrrd_image

__all__ = ["prepare"]

SCRIPT = "in_slicer.py"


def prepare(subject: ShownSubject, folder: Storage) -> ViewerFiles:
    """Write what 3D Slicer takes.

    Raises:
        StoreError: it cannot be written.
    """
    made = ViewerFiles()
    for scan in subject.scans:
        times = range(scan.meta.shape[0])
        for index, channel in enumerate(scan.channels):
            for t in times:
                name = _name(scan, channel.name, t, ".nrrd")
                write_nrrd_image(folder, name, image_of(scan, index, t))
                made.files.append(name)
        for label in scan.labels:
            mask = labels_of(scan.stored, label.name)
            for t in times:
                name = _name(scan, label.name, t, ".seg.nrrd")
                write_nrrd(folder, name, at_time(mask, t))
                made.files.append(name)
    scene = scene_of(
        subject,
        lambda scan, channel: _name(scan, channel, 0, ".nrrd"),
        lambda scan, label: _name(scan, label, 0, ".seg.nrrd"),
    )
    folder.write_text("scene.json", json.dumps(scene))
    folder.write_text(SCRIPT, Path(in_slicer.__file__).read_text("utf-8"))
    made.files += ["scene.json", SCRIPT]
    made.arguments.append(["--python-script", folder.uri(SCRIPT)])
    if any(scan.meta.shape[0] > 1 for scan in subject.scans):
        made.notes.append("the script loads the first time point; the others lie beside it")
    return made


def _name(scan: ShownScan, what: str, t: int, ending: str) -> str:
    return file_name(scan, what, ending if scan.meta.shape[0] == 1 else f"_t{t}{ending}")
