"""napari: a scene and a script that opens it on the run's own pyramids, so that only what is looked at is read."""

import json
from pathlib import Path

from somray.commands.view.programs import ViewerFiles
from somray.commands.view.scene import scene_of
from somray.commands.view.subject import ShownSubject
from somray.commands.view.viewers import in_napari
from somray.io.storage import Storage

__all__ = ["prepare"]

SCRIPT = "in_napari.py"


def prepare(subject: ShownSubject, folder: Storage) -> ViewerFiles:
    """Write what napari takes.

    Raises:
        StoreError: it cannot be written.
    """
    scene = scene_of(
        subject,
        lambda scan, _: scan.stored.storage.uri(scan.stored.name),
        lambda scan, label: scan.stored.storage.uri(f"{scan.stored.name}/labels/{label}"),
    )
    folder.write_text("scene.json", json.dumps(scene))
    folder.write_text(SCRIPT, Path(in_napari.__file__).read_text("utf-8"))
    return ViewerFiles(["scene.json", SCRIPT], [[folder.uri(SCRIPT)]])
