"""A cohort whose answers are known: every row is written by hand, through somray's own schemas, none is measured.

chest-ct: s01 grows (1000, 2000, 4000 mm³) and shows a new lesion that goes again; in s02 two lesions merge, then
split; s03 could not be registered; s04 is a broken file; s05 has no lesion. body-petct: one lesion halves its uptake,
one goes; p02 is not in SUV. bone-xct: a sample in two sessions. Pixels of s01 and p01 are painted by `pixels`.
"""

import json
from pathlib import Path

import numpy as np
import yaml

from somray.domain import tables as t
from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.io.ome import image as ome_zarr
from somray.io.ome.image import ScanMeta
from somray.io.storage import Storage
from somray.io.tables import row_to_plain
from tests.compacted import compact
from tests.slabs import write_label_slab, write_slab

CT, PET, XCT = "chest-ct", "body-petct", "bone-xct"
DAYS = {"t0": 0.0, "t1": 90.0, "t2": 181.0}
SHAPE = (12, 48, 48)
SPACING = (2.5, 2.0, 2.0)
VOXEL_MM3 = 10.0
STEP_PX = 2  # by how much a subject lies further along x in each session
BOXES = {  # of s01, as it lay in t0: z, y, x
    "t0": {1: ((3, 7), (20, 25), (14, 19)), 2: ((6, 8), (30, 35), (28, 33))},
    "t1": {1: ((2, 10), (20, 25), (14, 19)), 2: ((6, 8), (30, 35), (28, 33)), 3: ((4, 6), (10, 13), (24, 29))},
    "t2": {1: ((2, 10), (20, 25), (14, 24)), 2: ((6, 8), (30, 35), (28, 33))},
}  # fmt: skip
BLOCKS = (  # the other subjects' lesions in mm³
    ("s02", "t0", {1: 3000.0, 2: 1000.0}), ("s02", "t1", {1: 4200.0}), ("s02", "t2", {1: 2500.0, 3: 1500.0}),
    ("s03", "t0", {1: 700.0}), ("s03", "t1", {1: 900.0}), ("s05", "t0", {}), ("s05", "t1", {}),
)  # fmt: skip
INTENSITY = {1: 102.0, 2: 152.0, 3: 202.0}
"""Mean of a lesion's voxels: half of them lie 2 below, half 2 above."""


def pixels(session: str) -> tuple[np.ndarray, np.ndarray]:
    """Paint s01: image (z, y, x) float32 and lesions int32."""
    z, y, x = np.indices(SHAPE)
    x = x - STEP_PX * list(DAYS).index(session)
    inside = ((y - 24) / 20) ** 2 + ((x - 22) / 20) ** 2 < 1
    image = np.where(inside, 30 + (x * 3 + y * 5 + z * 7) % 11, -1000)
    labels = np.zeros(SHAPE, np.int32)
    for lesion, box in BOXES[session].items():
        within = np.logical_and.reduce(
            [(a >= low) & (a < high) for a, (low, high) in zip((z, y, x), box, strict=True)]
        )
        labels[within] = lesion
        image[within] = INTENSITY[lesion] - 2 + 4 * (np.arange(within.sum()) % 2)
    return image.astype(np.float32), labels


def blocks(volumes: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Paint a subject's lesions of so many mm³ side by side, all of one intensity."""
    labels = np.zeros(SHAPE, np.int32)
    for lesion, mm3 in volumes.items():
        column = np.zeros((SHAPE[0], 10, 10), np.int32)
        column.ravel()[: round(mm3 / VOXEL_MM3)] = lesion
        labels[:, 20:30, 13 * lesion - 8 : 13 * lesion + 2] = column
    return np.where(labels > 0, 250, 30).astype(np.float32), labels


def build(folder: Path) -> Path:
    """Write the run as `folder / run`; returns its place."""
    place = folder / "run"
    storage = Storage.at(place)
    protocols = {CT: {"modality": "CT"}, PET: {"modality": "PETCT", "channels": ["CT", "PET"]},
                 XCT: {"modality": "XCT"}}  # fmt: skip
    config = {"scans": "scans.csv", "output": str(place), "protocols": protocols}
    storage.write_text(RunLayout.config, yaml.safe_dump(config))
    storage.write_text(RunLayout.info, json.dumps({"seed": 0, "versions": {"somray": "0.1.0"}}))
    for subject, session, volumes in BLOCKS:
        image, labels = blocks(volumes)
        write_scan(storage, (subject, session), image[None], labels)
    for session in DAYS:
        image, labels = pixels(session)
        write_scan(storage, ("s01", session), image[None], labels)
    image, labels = pixels("t0")
    write_scan(storage, ("p01", "t0"), np.stack([image, image / 10]), labels)
    for table in t.TABLES:
        for protocol in (CT, PET, XCT):
            rows = [row for at, row in ROWS if at == protocol and row.table == table]
            compact(storage, table, protocol, [row_to_plain(row) for row in rows])
    return place


def write_scan(storage, name, image, labels) -> None:
    """Write one scan, image (c, z, y, x), with its lesions (z, y, x)."""
    channels, units = (("CT",), "HU") if len(image) == 1 else (("CT", "PET"), "HU,SUVbw")
    place = RunLayout.scan(*name)
    meta = ScanMeta((1, *image.shape), Geometry.from_spacing(image.shape[1:], SPACING), channels, units, "digest",
                    ((-1000.0, 400.0), (0.0, 20.0))[:len(image)])  # fmt: skip
    ome_zarr.create_scan(storage, place, meta)
    for z0, z1 in meta.slabs:
        write_slab(storage, place, 0, z0, image[:, z0:z1])
    ome_zarr.finish_scan(storage, place, meta)
    ome_zarr.create_labels(storage, place, "lesions", "int32")
    for z0, z1 in meta.slabs:
        write_label_slab(storage, place, "lesions", 0, z0, labels[z0:z1])
    ome_zarr.finish_labels(storage, place, "lesions", {})


def _scan(subject: str, session: str, modality: str, unit: str | None, status: str = "done"):
    shape = (1, 1, *SHAPE) if unit else (None,) * 5
    spacing = SPACING if unit else (None,) * 3
    return t.ScanRow(subject, session, f"in/{subject}_{session}.nii", *shape, *spacing, modality, unit,
                     DAYS[session], None, status)  # fmt: skip


def _lesion(subject: str, session: str, lesion: int, mm3: float, mean: float, **pet: float):
    return t.LesionRow(subject, session, 0, lesion, mm3, 12.5, 44.0, 32.0, 20.0 + lesion, mean, mean + 2,
                       mean - 2, 2.0, axial_axis_mm=10.0 + lesion, **pet)  # fmt: skip


def _change(subject: str, lesion: int, sessions: str, change: str | None, *volumes, **more):
    first, second = volumes
    fraction = None if None in volumes else (second - first) / first
    known = {"linked_ids": [], "registered": True, "doubt": None, "surround_ncc": 0.9} | more
    return t.EvolutionRow(
        subject, lesion, *sessions.split(), change, first, second, fraction, 1.0, **known
    )


def _burden(
    subject: str, session: str, mm3: list[float], change=None, best=None, response=None, **more
):
    base = {"doubt": None, "reason": None} | more
    return t.BurdenRow(
        subject, session, 0, len(mm3), float(sum(mm3)), None, None, 0.0, None, None, response, base["doubt"],
        base["reason"], None, None, best, best, change,
    )  # fmt: skip


def _link(subject: str, sessions: str, from_id: int, to_id: int):
    return t.LinkRow(
        subject, *sessions.split(), from_id, to_id, "overlap", 400.0, 0.9, 1.0, from_id == to_id
    )


def _truth(session: str, method: str, label: int, dice: float, ml: float, found: int, true: int):
    return t.TruthRow("s01", session, method, label, "ground_truth", dice, dice / (2 - dice), dice, dice,
                      None if not dice else 4 - 2 * dice, true, found, ml / 10, ml / 5, found, found / true,
                      1.0 if found else None, dice, 0.0, 0.0, true_ml=ml)  # fmt: skip


def _pair(subject: str, kind: str, sessions: str, z: int | None, status: str = "ok"):
    matrix = None if status == "refused" else list(np.eye(4 if z is None else 3).ravel())
    reason = {"ok": None, "weak": "few matches", "refused": "nothing explains them"}[status]
    whole = (None, None, None) if z is None else (0, z, z + 1)
    return t.RegistrationRow(subject, kind, *sessions.split(), *whole, None, None, None, None, None, None,
                             "rigid3d" if z is None else "similarity", matrix, status, reason, 0.1,
                             None if matrix is None else 0.05, 0.8, None if matrix is None else 0.9)  # fmt: skip


def _residual(
    subject: str, kind: str, sessions: str, z: int | None, before: float, after: float | None
):
    whole = (None, None, None) if z is None else (0, z, z + 1)
    return t.ResidualRow(subject, kind, *sessions.split(), *whole, "outside", 900, before, after, 0.8, 0.9)  # fmt: skip


def _aligned(subject: str, session: str, cycle: float | None):
    shift = [1.0, 0, 0, -4.0 * list(DAYS).index(session), 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    matrix, status, reason = shift, "ok", None
    if subject == "s03" and session == "t1":
        matrix, status, reason = None, "refused", "nothing leads there"
    return t.AlignmentRow(subject, "sessions", session, None, None, "t0", None, matrix, status, reason,
                          cycle, 0.1)  # fmt: skip


def _slice(session: str, method: str, z: int, area: float, confidence: float | None):
    return t.SliceRow("s01", session, method, 0, z, area, area / 9216, confidence)


def _planes(session: str, pores: list[int], sample: int | None):
    return [
        t.PorosityRow("x01", session, 0, axis, n, n * 0.5, 100, many, many / 100, sample, many / (sample or 100))
        for axis in "zy"
        for n, many in enumerate(pores if axis == "z" else pores[::-1])
    ]  # fmt: skip


def _painted(session: str):
    """Return s01's lesions as they are painted."""
    return [
        _lesion("s01", session, lesion, float(np.prod([b - a for a, b in box])) * VOXEL_MM3, INTENSITY[lesion])
        for lesion, box in BOXES[session].items()
    ]  # fmt: skip


_CT_ROWS: list[t.Row] = [
    *(_scan(s, n, "CT", "HU") for s in ("s01", "s02") for n in DAYS),
    *(_scan(s, n, "CT", "HU") for s in ("s03", "s05") for n in ("t0", "t1")),
    _scan("s04", "t0", "CT", None, "quarantined"),
    t.FailureRow("s04", "t0", "ingest", "truncated", "in/s04_t0.nii: ends early; copy it again", 1),
    t.FailureRow("s03", None, "evolve", "timed_out", "s03: took longer than 60 minutes", 2),
    *(row for session in DAYS for row in _painted(session)),
    *(_lesion(subject, session, lesion, mm3, 250.0) for subject, session, volumes in BLOCKS
      for lesion, mm3 in volumes.items()),
    _change("s01", 1, "t0 t1", "enlarging", 1000.0, 2000.0),
    _change("s01", 2, "t0 t1", "stable", 500.0, 500.0),
    _change("s01", 3, "t0 t1", "new", None, 300.0),
    _change("s01", 1, "t1 t2", "enlarging", 2000.0, 4000.0),
    _change("s01", 2, "t1 t2", "stable", 500.0, 500.0),
    _change("s01", 3, "t1 t2", "resolved", 300.0, None),
    _change("s02", 1, "t0 t1", "merged", 3000.0, 4200.0, linked_ids=[2]),
    _change("s02", 2, "t0 t1", "merged", 1000.0, None, linked_ids=[1]),
    _change("s02", 1, "t1 t2", "split", 4200.0, 2500.0, linked_ids=[3]),
    _change("s02", 3, "t1 t2", "split", None, 1500.0, linked_ids=[1]),
    _change("s03", 1, "t0 t1", None, 700.0, 900.0, registered=False, doubt="not_registered"),
    *(_link("s01", *row) for row in (("t0 t1", 1, 1), ("t0 t1", 2, 2), ("t1 t2", 1, 1), ("t1 t2", 2, 2))),
    *(_link("s02", *row) for row in (("t0 t1", 1, 1), ("t0 t1", 2, 1), ("t1 t2", 1, 1), ("t1 t2", 1, 3))),
    _burden("s01", "t0", [1000, 500]),
    _burden("s01", "t1", [2000, 500, 300], 13 / 15, 0.25, "PD", reason="new: lesion 3"),
    _burden("s01", "t2", [4000, 500], 2.0, 0.5, "PD", reason="targets 30 mm against 20 mm at least"),
    _burden("s02", "t0", [3000, 1000]),
    _burden("s02", "t1", [4200], 0.05, -0.1, "SD"),
    _burden("s02", "t2", [2500, 1500], 0.0, -0.35, "PR"),
    _burden("s03", "t0", [700]),
    _burden("s03", "t1", [900], 2 / 7, None, None, doubt="not_registered"),
    _burden("s05", "t0", []),
    _burden("s05", "t1", [], doubt="no_target"),
    *(t.DriftRow(s, n, "ok", ratio, 0.01, "CT", "edge", 0.2, 1.0, None)
      for s, n, ratio in (("s01", "t0", 1.0), ("s01", "t1", 1.1), ("s01", "t2", 1.2), ("s02", "t0", 1.3))),
    t.DriftRow("s02", "t1", "drifted", 2.3, 0.3, "CT", "intensity", -1.7, 0.9, "pixels lie 2.30 times as far"),
    *(_truth(n, m, label, dice, ml, found, true) for n, m, label, dice, ml, found, true in (
        ("t0", "som", 0, 0.8, 5.9, 2, 3), ("t0", "som", 1, 0.9, 5.0, 1, 1), ("t0", "som", 2, 0.5, 0.8, 1, 1),
        ("t0", "som", 3, 0.0, 0.1, 0, 1), ("t1", "som", 0, 0.7, 12.0, 1, 1), ("t1", "som", 1, 0.7, 12.0, 1, 1),
        ("t0", "student", 0, 0.9, 5.9, 3, 3), ("t0", "student", 1, 0.95, 5.0, 1, 1),
        ("t0", "student", 2, 0.6, 0.8, 1, 1), ("t0", "student", 3, 0.4, 0.1, 1, 1),
        ("t1", "student", 0, 0.8, 12.0, 1, 1), ("t1", "student", 1, 0.8, 12.0, 1, 1),
    )),
    *(_pair("s01", "slices", "t0 t0", z, s) for z, s in ((0, "ok"), (1, "weak"), (2, "refused"))),
    *(_pair("s01", "sessions", n, None) for n in ("t0 t1", "t1 t2")),
    _pair("s03", "sessions", "t0 t1", None, "refused"),
    *(_aligned("s01", n, cycle) for n, cycle in (("t0", None), ("t1", 0.4), ("t2", 0.7))),
    *(_aligned("s03", n, None) for n in ("t0", "t1")),
    *(_residual("s01", "slices", "t0 t0", z, 40.0, after) for z, after in ((0, 10.0), (1, 30.0), (2, None), (3, 12.0))),
    *(_residual("s01", "sessions", n, None, 50.0, after) for n, after in (("t0 t1", 10.0), ("t1 t2", 20.0))),
    _residual("s03", "sessions", "t0 t1", None, 60.0, None),
    *(_slice("t0", m, z, area, sure) for m, z, area, sure in (
        ("student", 3, 100.0, 0.99), ("som", 3, 104.0, 0.9), ("student", 4, 100.0, 0.95), ("som", 4, 300.0, 0.8),
        ("student", 5, 60.0, 0.55), ("som", 5, 60.0, 0.9), ("student", 6, 0.0, None), ("som", 6, 20.0, 0.4),
        ("student", 7, 0.0, None), ("som", 7, 0.0, None),
    )),
    *(t.TimingRow(stage, unit, seconds, 2**30 * gib, node, "cpu", tries) for stage, unit, seconds, gib, node, tries in (
        ("som", "sub-s01_ses-t0", 1800.0, 2, "n1", 1), ("som", "sub-s01_ses-t1", 900.0, 3, "n1", 2),
        ("som", "sub-s01_ses-t2", 900.0, 1, "n2", 1), ("ingest", "sub-s01_ses-t0", 36.0, 1, "n2", 1),
    )),
    *(t.AgreementRow("s01", "t0", r, stage, 0, z, "held_out" if z else "train", "som_teacher", None, d, 1.0, d, d)
      for r, stage, z, d in ((1, "A", 0, 0.9), (1, "A", 1, 0.6), (2, "A+B", 0, 0.9), (2, "A+B", 1, 0.8))),
]  # fmt: skip
_PET_ROWS: list[t.Row] = [
    *(_scan("p01", n, "PETCT", "HU,SUVbw") for n in ("t0", "t1")),
    *(_scan("p02", n, "PETCT", "HU,raw") for n in ("t0", "t1")),
    _lesion("p01", "t0", 1, 1000.0, 10.2, suv_max=12.0, suv_mean=10.2, tlg_ml=10.2),
    _lesion("p01", "t0", 2, 500.0, 15.2, suv_max=16.0, suv_mean=15.2, tlg_ml=7.6),
    _lesion("p01", "t1", 1, 500.0, 5.1, suv_max=6.0, suv_mean=5.1, tlg_ml=2.55),
    _lesion("p02", "t0", 1, 800.0, 4000.0, tlg_ml=3200.0),
    _lesion("p02", "t1", 1, 800.0, 4000.0, tlg_ml=3200.0),
    _change("p01", 1, "t0 t1", "shrinking", 1000.0, 500.0),
    _change("p01", 2, "t0 t1", "resolved", 500.0, None),
    _change("p02", 1, "t0 t1", "stable", 800.0, 800.0),
    _link("p01", "t0 t1", 1, 1),
    _link("p02", "t0 t1", 1, 1),
    _burden("p01", "t0", [1000, 500]),
    _burden("p01", "t1", [500], -2 / 3, -0.5, "PMR"),
    _burden("p02", "t0", [800]),
    _burden("p02", "t1", [800], 0.0, 0.0, None, doubt="no_suv"),
]
_XCT_ROWS: list[t.Row] = [
    *(_scan("x01", n, "XCT", "raw") for n in ("t0", "t1")),
    *_planes("t0", [2, 4, 6], 80),
    *_planes("t1", [1, 9, 5], None),
]
ROWS = [(protocol, row) for protocol, rows in ((CT, _CT_ROWS), (PET, _PET_ROWS), (XCT, _XCT_ROWS))
        for row in rows]  # fmt: skip
