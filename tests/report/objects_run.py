"""A run with a PET scan, its objects and its burden, written through somray's own io."""

import json
from pathlib import Path

import numpy as np
import yaml

from somray.domain import tables as t
from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.io.ome import image as ome_zarr
from somray.io.ome.image import ScanMeta
from somray.report.data import ReportData, ScanPixels
from tests.slabs import write_label_slab, write_slab

from .small_run import EVIL, SmallRun

PROTOCOL = "body-pet"
SHAPE = (1, 1, 40, 24, 20)
SPACING = (5.0, 4.0, 4.0)
LESION, BLADDER, DOUBT = 1, 2, 3
BOXES = {
    LESION: (slice(30, 34), slice(4, 8), slice(14, 17)),
    BLADDER: (slice(4, 10), slice(8, 14), slice(8, 12)),
    DOUBT: (slice(20, 22), slice(16, 18), slice(3, 5)),
}
CALLED = {LESION: "lesion", BLADDER: "physiological", DOUBT: "doubt"}
LESION_ID = 7


def object_row(number: int, session: str = "t0", **other: object) -> t.ObjectRow:
    """Return a row of `objects`; hostile in its name and reason."""
    z, y, x = ((b.start + b.stop - 1) / 2 for b in BOXES[number])
    values: dict[str, object] = {
        "subject": "s01", "session": session, "t": 0, "object_id": number, "called": CALLED[number],
        "name": None if number == LESION else EVIL, "by": "rule", "reason": f"peak {EVIL}", "salience": 3.0,
        "level": 2.0, "volume_mm3": 3840.0, "centroid_z_mm": 5 * z, "centroid_y_mm": 4 * y,
        "centroid_x_mm": 4 * x, "peak_intensity": 9.0, "mean_intensity": 7.0, "contrast_log2": 2.0,
        "sphericity": 0.8,
    }  # fmt: skip
    rest = ("ct_mean_hu", "ct_std_hu", "height_fraction", "midline_mm", "depth_mm", "twin",
            "cohort_fraction", "cohort_subjects", "organ")  # fmt: skip
    return t.ObjectRow(**(dict.fromkeys(rest) | values | other))  # type: ignore[arg-type]


def burden_row(session: str, volume_mm3: float, **other: object) -> t.BurdenRow:
    """Return a row of `burden`, the first session's where nothing else is said."""
    values: dict[str, object] = {
        "subject": "s01", "session": session, "t": 0, "lesions": 1, "volume_mm3": volume_mm3, "tlg": None,
        "dmax_mm": 20.0, "axes_mm": 20.0, "change_from_baseline": None, "change_from_nadir": None,
        "response": None, "doubt": None,
    }  # fmt: skip
    return t.BurdenRow(**(values | other))  # type: ignore[arg-type]


def scan_row(session: str, days: float) -> t.ScanRow:
    """Return a row of `scans` of a done PET scan."""
    return t.ScanRow(
        subject="s01", session=session, path="in/s01.nii.gz", shape_t=1, shape_c=1, shape_z=SHAPE[2],
        shape_y=SHAPE[3], shape_x=SHAPE[4], spacing_z_mm=SPACING[0], spacing_y_mm=SPACING[1],
        spacing_x_mm=SPACING[2], modality="PET", unit="SUVbw", days=days, repairs=None, status="done",
    )  # fmt: skip


def write_scan(
    run: SmallRun, session: str, geometry: Geometry, *, objects: bool = True, channel: str = "PET"
) -> None:
    """Write a scan of 1 everywhere, 9 in the lesion and 20 in the bladder."""
    image = np.ones(SHAPE[2:], np.float32)
    labels, lesions = np.zeros(SHAPE[2:], np.int32), np.zeros(SHAPE[2:], np.int32)
    for number, box in BOXES.items():
        image[box] = {LESION: 9.0, BLADDER: 20.0, DOUBT: 4.0}[number]
        labels[box] = number
    lesions[BOXES[LESION]] = LESION_ID
    name = RunLayout.scan("s01", session)
    meta = ScanMeta(SHAPE, geometry, (channel,), "SUVbw", "digest", ((0.0, 10.0),))
    ome_zarr.create_scan(run.storage, name, meta)
    for z0, z1 in meta.slabs:
        write_slab(run.storage, name, 0, z0, image[None, z0:z1])
    ome_zarr.finish_scan(run.storage, name, meta)
    for label, values in (("objects", labels), ("lesions", lesions)):
        if not objects:
            continue
        ome_zarr.create_labels(run.storage, name, label, "int32")
        for z0, z1 in meta.slabs:
            write_label_slab(run.storage, name, label, 0, z0, values[z0:z1])
        ome_zarr.finish_labels(run.storage, name, label, {})


def build(folder: Path, *, modality: str = "PET", sessions: int = 2) -> SmallRun:
    """Write a run of one subject; tables `objects` and `burden` are left to the test."""
    run = SmallRun(folder / "run")
    config = {
        "scans": str(folder / "scans.csv"), "output": str(run.root),
        "protocols": {PROTOCOL: {"modality": modality, "segment": "som"}},
    }  # fmt: skip
    run.storage.write_text(RunLayout.config, yaml.safe_dump(config))
    run.storage.write_text(RunLayout.info, json.dumps({"seed": 0}))
    names = [f"t{n}" for n in range(sessions)]
    for session in names:
        geometry = Geometry.from_spacing(SHAPE[2:], SPACING)
        write_scan(run, session, geometry, channel=modality)
    run.rows("scans", PROTOCOL, [scan_row(s, 30.0 * n) for n, s in enumerate(names)])
    return run


def pixels_of(run: SmallRun, session: str) -> ScanPixels:
    """Open a scan as the report does."""
    found = ReportData(str(run.root)).scan("s01", session)
    assert found is not None
    return found
