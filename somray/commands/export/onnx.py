"""Hand a run's students on as ONNX files that need neither somray nor torch.

One `PROTOCOL.onnx` a protocol, with `PROTOCOL.json` beside it that tells what goes in and what comes
out. The same facts stand inside the file as `metadata_props`.
"""

import json
from typing import Any

from somray import __version__
from somray.commands.export.scans import units_of
from somray.commands.words import asked_protocols
from somray.domain.student import StudentModel
from somray.errors import ConfigError
from somray.io.run import StoredRun, open_run
from somray.io.storage import Storage

__all__ = ["export_students"]

NOTE = "agreement with the teacher is not accuracy; for research, not for diagnosis"
WINDOWS_NOTE = (
    "PET's window ends at the unit of uptake of the scan that the student learned from; a scan of another unit wants "
    "its uptake scaled to that one, which only somray finds: use somray on it"
)
SLICES_NOTE = "bring slices whose pixel size differs by more than a tenth to this one first"
VOLUMES_NOTE = (
    "it sees means over blocks of about 6 mm, with z to superior, y to posterior, x to left"
)


def export_students(
    location: str, out: str, protocol: str | None = None
) -> dict[str, Any]:  # Any: JSON
    """Write the students of a run as ONNX: the one of a protocol, or all that there are.

    Returns:
        `format`, `files` (places of what was written) and `left_out` (protocols without a student).

    Raises:
        ConfigError: unknown protocol, no student to export, or a package is not installed.
        StoreError: the run cannot be read or the folder not be written.
    """
    from somray.kernels.student.onnx_graph import onnx_bytes, require_onnx  # torch: only here

    require_onnx()
    run = open_run(location)
    students, left_out = _students(run, protocol)
    storage, files = Storage.at(out), []
    for name, model in students.items():
        facts = {**_facts(name, model), "units": units_of(run, name)}
        storage.write_bytes(f"{name}.onnx", onnx_bytes(model, facts))
        storage.write_text(f"{name}.json", json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        files += [storage.uri(f"{name}.onnx"), storage.uri(f"{name}.json")]
    return {"format": "onnx", "files": files, "left_out": left_out}


def _students(run: StoredRun, protocol: str | None) -> tuple[dict[str, StudentModel], list[str]]:
    """Read the students that are wanted; those that are not there are named, or refused if asked for."""
    wanted = asked_protocols(run.config.protocols, protocol)
    read = {name: run.student(name) for name in wanted}
    found = {name: model for name, model in read.items() if model is not None}
    missing = [name for name in wanted if name not in found]
    if not found:
        how = [f"{name} (segment: {run.config.protocols[name].segment})" for name in missing]
        raise ConfigError(
            f"{run.root}: no student to export for {', '.join(how)}; set segment: student and let "
            "the run finish first"
        )
    return found, missing


def _facts(protocol: str, model: StudentModel) -> dict[str, object]:
    """Tell what goes into the graph and what comes out."""
    from somray.kernels.student.onnx_graph import OPSET

    volumes = model.sees_volumes
    axes = "z, y, x" if volumes else "y, x"
    return {
        "somray_version": __version__,
        "protocol": protocol,
        "target": model.target,
        "opset": OPSET,
        "input": f"image (n, channels, {axes}) float32, values as in the scan, NaN where there is no data",
        "output": f"probability (n, {axes}) float32 in [0, 1], 0 where there is no data",
        "channels": list(model.channels),
        "windows": {
            channel: list(window)
            for channel, window in zip(model.channels, model.windows, strict=True)
        },
        **({"windows_note": WINDOWS_NOTE} if "PET" in model.kinds else {}),
        "spacing_yx_mm": list(model.spacing_mm),
        "spacing_note": VOLUMES_NOTE if volumes else SLICES_NOTE,
        "temperature": model.temperature,
        "note": NOTE,
    }
