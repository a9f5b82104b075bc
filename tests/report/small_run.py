"""A small run on disk, written through somray's own io: two sessions, one quarantined scan, known numbers."""

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import yaml

from somray.domain import tables as t
from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.domain.student import StudentModel
from somray.domain.teacher import CLASSES, Codebook, TeacherModel
from somray.io import models
from somray.io.ome import image as ome_zarr
from somray.io.ome.image import ScanMeta
from somray.io.storage import Storage
from somray.io.tables import row_to_plain
from tests.compacted import compact
from tests.slabs import write_label_slab, write_slab

PROTOCOL, IDLE = "chest-ct", "idle-mr"
SHAPE = (1, 1, 6, 48, 56)
SPACING = (3.0, 1.0, 1.5)
FEATURES = ("intensity", "edge", "local_contrast", "mean3")
EVIL = "<script>alert('scan')</script>"


@dataclass(frozen=True)
class SmallRun:
    """Where the run lies and what a test may want to change."""

    root: Path

    @property
    def storage(self) -> Storage:
        return Storage.at(self.root)

    def rows(self, table: str, protocol: str, rows: list[t.Row]) -> None:
        compact(self.storage, table, protocol, [row_to_plain(r) for r in rows])

    def page(self, name: str = "index.html") -> str:
        return (self.root / "report" / name).read_text("utf-8")


def volume(session: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a body with one bright lesion that grows and a body that moves, and the lesion's mask."""
    z, y, x = np.indices(SHAPE[2:], dtype=np.float64)
    x = x - 2.0 * session
    body = ((y - 24) / 20) ** 2 + ((x - 28) / 24) ** 2 < 1
    radius = 4.0 + 1.5 * session
    lesion = ((y - 20) ** 2 + (x - 34) ** 2 < radius**2) & (np.abs(z - 3) < 2)
    noise = np.random.default_rng(session).normal(0, 12, SHAPE[2:])
    texture = 30 * np.sin(y / 2.3 + z / 4) * np.cos(x / 3.1)
    image = np.where(body, 40 + texture, -1000) + np.where(lesion, 160, 0) + noise
    return image.astype(np.float32), lesion


def geometry() -> Geometry:
    return Geometry.from_spacing(SHAPE[2:], SPACING)


def teacher() -> TeacherModel:
    """Return a teacher of four nodes, one per class; the lesion class is doubtful."""
    weights = np.array([[-2, -1, 0, -2], [0.2, 0, 0, 0.3], [1.8, 0.4, 1.1, 1.5], [0, 2.5, 1.9, 0]])
    return TeacherModel(
        codebook=Codebook(weights.astype(np.float32), (2, 2)),
        modality="CT",
        channels=("CT",),
        windows=((-1000.0, 400.0),),
        features=FEATURES,
        center=np.zeros(4, np.float32),
        scale=np.ones(4, np.float32),
        feature_weights=np.ones(4, np.float32),
        node_classes=np.array([1, 2, 3, 4], np.uint8),
        class_names=dict(CLASSES),
        doubtful={"lesion": "on CT alone dense tissue looks the same"},
        reasons={"lesion": "its mean is the highest of all"},
    )


def student() -> StudentModel:
    """Return a student that the cohort taught last; nobody asks it for a mask."""
    history = {"cohort_scans": 2, "dimensions": 2, "calibration_pixels": 640, "note": "",
               "calibration_error_before": 0.031, "calibration_error_after": 0.006}  # fmt: skip
    weights = {"out.weight": np.zeros((1, 1, 1, 1), np.float32)}
    return StudentModel(weights, {"dimensions": 2}, ("CT",), ((-1000.0, 400.0),), history=history)


def _scan(run: SmallRun, subject: str, session: str, number: int) -> None:
    image, lesion = volume(number)
    name = RunLayout.scan(subject, session)
    meta = ScanMeta(SHAPE, geometry(), ("CT",), "HU", "digest", ((-1000.0, 400.0),))
    ome_zarr.create_scan(run.storage, name, meta)
    som = np.where(image < -500, 1, 2).astype(np.uint8)
    som[lesion] = 3
    student = np.roll(lesion, 1, axis=2)
    for z0, z1 in meta.slabs:
        write_slab(run.storage, name, 0, z0, image[None, z0:z1])
    ome_zarr.finish_scan(run.storage, name, meta)
    for label, values in (("som", som), ("student", student.astype(np.uint8))):
        ome_zarr.create_labels(run.storage, name, label, "uint8")
        for z0, z1 in meta.slabs:
            write_label_slab(run.storage, name, label, 0, z0, values[z0:z1])
        ome_zarr.finish_labels(run.storage, name, label, CLASSES)
    truth = nibabel.Nifti1Image(
        lesion.astype(np.uint8).transpose(2, 1, 0), np.diag([-1, -1, 1, 1]) @ geometry().matrix
    )
    nibabel.save(truth, run.root.parent / f"truth_{subject}_{session}.nii.gz")


def _slice_rows(subject: str, session: str, number: int) -> list[t.Row]:
    _, lesion = volume(number)
    pixel = SPACING[1] * SPACING[2]
    return [
        t.SliceRow(subject, session, method, 0, z, float(m.sum() * pixel), float(m.mean()), 0.9)
        for method in ("som", "student")
        for z, m in enumerate(lesion)
    ]


def _area_rows(subject: str, session: str, number: int) -> list[t.Row]:
    image, lesion = volume(number)
    shares = {
        "background": (image < -500).mean(axis=(1, 2)), "lesion": lesion.mean(axis=(1, 2)),
        "boundary": np.zeros(SHAPE[2]),
    }  # fmt: skip
    shares["normal"] = 1 - shares["background"] - shares["lesion"]
    return [
        t.AreaRow(subject, session, 0, z, name, float(v[z]) * 4032, float(v[z]))
        for name, v in shares.items()
        for z in range(SHAPE[2])
    ]


def _pair(
    kind: str, sessions: tuple[str, str], z: int | None, **other: object
) -> t.RegistrationRow:
    matrix = [1.0, 0, 0, 0, 1, 0, 0, 0, 1]
    if kind == "sessions":
        matrix = [1.0, 0, 0, -3.0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
    values: dict[str, object] = {
        "subject": "s01", "kind": kind, "fixed_session": sessions[0], "moving_session": sessions[1],
        "t": None if z is None else 0, "fixed_z": z, "moving_z": None if z is None else z + 1,
        "keypoints_fixed": 40, "keypoints_moving": 42, "matches": 20, "inliers": 12,
        "inlier_fraction": 0.6, "rmse_px": 0.4, "model": "rigid3d" if z is None else "similarity",
        "matrix": matrix, "status": "ok", "reason": None, "mad_before": 0.12, "mad_after": 0.03,
        "ncc_before": 0.8, "ncc_after": 0.97,
    }  # fmt: skip
    return t.RegistrationRow(**(values | other))  # type: ignore[arg-type]


def _refused(z: int) -> t.RegistrationRow:
    nothing = dict.fromkeys(("matrix", "mad_after", "ncc_after", "rmse_px"))
    return _pair("slices", ("t0", "t0"), z, status="refused", reason="too few matches", **nothing)


def _cohort_tables(run: SmallRun) -> None:
    def scan(subject: str, session: str, days: float, **other: object) -> t.ScanRow:
        values: dict[str, object] = {
            "subject": subject, "session": session, "path": f"in/{subject}.nii.gz", "shape_t": 1,
            "shape_c": 1, "shape_z": 6, "shape_y": 48, "shape_x": 56, "spacing_z_mm": 3.0,
            "spacing_y_mm": 1.0, "spacing_x_mm": 1.5, "modality": "CT", "unit": "HU", "days": days,
            "repairs": None, "status": "done",
        }  # fmt: skip
        return t.ScanRow(**(values | other))  # type: ignore[arg-type]

    sizes = ("shape_t", "shape_c", "shape_z", "shape_y", "shape_x", "unit",
             "spacing_z_mm", "spacing_y_mm", "spacing_x_mm")  # fmt: skip
    bad = scan(
        "s02", "t0", 0.0, status="quarantined", path=f"in/{EVIL}.nii", **dict.fromkeys(sizes)
    )
    run.rows("scans", PROTOCOL, [scan("s01", "t0", 0.0), scan("s01", "t1", 90.0), bad])
    told = f"in/{EVIL}.nii: the file ends early; copy it again"
    run.rows("failures", PROTOCOL, [t.FailureRow("s02", "t0", "ingest", "truncated", told, 1)])
    run.rows("timings", PROTOCOL, [t.TimingRow("ingest", "s01_t0", 1.5, 2**27, "node", "cpu", 1)])
    for table in t.TABLES:
        run.rows(table, IDLE, [])


def _model_tables(run: SmallRun) -> None:
    clusters: list[t.Row] = []
    model = teacher()
    for node, weights in enumerate(model.codebook.weights):
        name = CLASSES[int(model.node_classes[node])]
        for feature, mean in zip(FEATURES, weights, strict=True):
            share = (0.5, 0.4, 0.02, 0.08)[node]
            row = (name, share, "CT", feature, float(mean), 0.3)
            clusters += [t.ClusterRow("node", node, *row), t.ClusterRow("class", None, *row)]
    run.rows("clusters", PROTOCOL, clusters)
    run.rows("profiles", PROTOCOL, [
        t.ProfileRow("s01", session, CLASSES[node + 1], 0.25, "CT", feature, float(mean) + move, 0.3)
        for session, move in (("t0", 0.0), ("t1", 0.4))
        for node, weights in enumerate(model.codebook.weights)
        for feature, mean in zip(FEATURES, weights, strict=True)
    ])  # fmt: skip
    run.rows("drift", PROTOCOL, [
        t.DriftRow("s01", "t0", "ok", 1.1, 0.02, "CT", "edge", 0.2, 0.98, None),
        t.DriftRow("s01", "t1", "drifted", 2.3, 0.3, "CT", "intensity", -1.7, 0.9,
                   "pixels lie 2.30 times as far from their nodes as the reference's"),
    ])  # fmt: skip
    agreement: list[t.Row] = []
    for round_, stage in ((1, "A"), (2, "A+B"), (3, "cohort")):
        for z in (3, 4):
            role = "train" if z == 3 else ("held_out" if round_ == 1 else "pseudo")
            role = "held_out" if stage == "cohort" else role
            iou = 0.9 + 0.03 * round_ - 0.02 * (z - 3)
            agreement.append(t.AgreementRow("s01", "t0", round_, stage, 0, z, role, "som_teacher",
                                            iou, 2 * iou / (1 + iou), 0.99, 0.96, 0.95))  # fmt: skip
    run.rows("agreement", PROTOCOL, agreement)
    run.rows("convergence", PROTOCOL, [
        t.ConvergenceRow(1, "A", 0.92, None, False, 0.83, None),
        t.ConvergenceRow(2, "A+B", 0.921, 0.001, True, 0.83, 0.93),
        t.ConvergenceRow(3, "cohort", 0.71, -0.211, False, 0.83, None),
    ])  # fmt: skip
    run.rows("training", PROTOCOL, [
        t.TrainingRow(r, e, 0.5 / (e * r), 0.001, 0.2) for r in (1, 2, 3) for e in range(1, 7)
    ])  # fmt: skip


def _subject_tables(run: SmallRun) -> None:
    sessions = (("t0", 0), ("t1", 1))
    run.rows("slices", PROTOCOL, [r for s, n in sessions for r in _slice_rows("s01", s, n)])
    run.rows("areas", PROTOCOL, [r for s, n in sessions for r in _area_rows("s01", s, n)])
    pairs = [_pair("slices", (s, s), z) for s, _ in sessions for z in range(4)]
    pairs += [_refused(4), _pair("sessions", ("t0", "t1"), None)]
    run.rows("registration", PROTOCOL, pairs)
    sizes = {("t0", 1): 700.0, ("t1", 1): 1300.0, ("t1", 2): 90.0}
    run.rows("lesions", PROTOCOL, [
        t.LesionRow("s01", s, 0, n, v, 9.0, 20.0, 51.0, 12.5, 190.0, 240.0, 140.0, 21.0)
        for (s, n), v in sizes.items()
    ])  # fmt: skip
    run.rows("evolution", PROTOCOL, [
        t.EvolutionRow("s01", 1, "t0", "t1", "enlarging", 700.0, 1300.0, 0.857, 1.2, [], True,
                       None, 0.9),
        t.EvolutionRow("s01", 2, "t0", "t1", "new", None, 90.0, None, None, [], True,
                       None, 0.8),
    ])  # fmt: skip
    run.rows("links", PROTOCOL, [
        t.LinkRow("s01", "t0", "t1", 1, 1, "overlap", 650.0, 0.93, 1.2, True),
    ])  # fmt: skip
    _aligned(run)
    run.rows("truth", PROTOCOL, [
        t.TruthRow("s01", s, m, n, "ground_truth", d - n / 8, d / (2 - d), 0.9, 0.8, 2.5, 1, 1,
                   0.1, 0.2, 3, 1.0, 1 / 3, 0.97, 0.05, 0.0)
        for s, labels in (("t0", (0, 1)), ("t1", (0, 1, 2)))
        for m, d in (("som", 1.0), ("student", 0.88), ("lesions", 0.92))
        for n in labels
    ])  # fmt: skip


def _aligned(run: SmallRun) -> None:
    """One chain along z with a slice that nothing leads to, a group of sessions, and what is left."""
    here, there = (
        [1.0, 0, 0.25, 0, 1, 0, 0, 0, 1],
        [1.0, 0, 0, -3.0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
    )
    chain: list[t.Row] = [
        t.AlignmentRow("s01", "slices", s, 0, z, s, 2, here, "repaired" if z == 3 else "ok",
                       "a step disagreed" if z == 3 else None, 0.1 * z, 0.4 * abs(z - 2))
        for s in ("t0", "t1")
        for z in range(5)
    ]  # fmt: skip
    chain += [
        t.AlignmentRow(
            "s01", "slices", s, 0, 5, s, 2, None, "refused", "nothing leads there", None, None
        )
        for s in ("t0", "t1")
    ]
    chain += [
        t.AlignmentRow("s01", "sessions", s, None, None, "t0", None, there, "ok", None, 0.2, 0.1)
        for s in ("t0", "t1")
    ]
    run.rows("alignment", PROTOCOL, chain)
    run.rows("residuals", PROTOCOL, [
        *(t.ResidualRow("s01", "slices", s, s, 0, z, z + 1, region, 900, 30.0, 21.0, 0.7, 0.8)
          for s in ("t0", "t1") for z in range(4) for region in ("lesion", "outside")),
        t.ResidualRow("s01", "sessions", "t0", "t1", None, None, None, "lesion", 400, 88.0, 71.0, 0.3, 0.4),
        t.ResidualRow("s01", "sessions", "t0", "t1", None, None, None, "outside", 9000, 61.0, 14.0, 0.8,
                      0.97),
    ])  # fmt: skip


def build(folder: Path) -> SmallRun:
    """Write the run under `folder / run`; its manifest and truth masks lie beside it."""
    run = SmallRun(folder / "run")
    root = run.storage
    config = {
        "scans": str(folder / "scans.csv"), "output": str(run.root),
        "protocols": {PROTOCOL: {"modality": "CT"}, IDLE: {"modality": "MR"}},
    }  # fmt: skip
    lines = ["subject,session,protocol,path,days,truth"]
    for number, session in enumerate(("t0", "t1")):
        _scan(run, "s01", session, number)
        truth = f"truth_s01_{session}.nii.gz"
        lines.append(f"s01,{session},{PROTOCOL},in/s01.nii.gz,{90 * number},{truth}")
    lines.append(f"s02,t0,{PROTOCOL},in/bad.nii,0,")
    (folder / "scans.csv").write_text("\n".join(lines) + "\n", "utf-8")
    root.write_text(RunLayout.config, yaml.safe_dump(config))
    info = {"versions": {"somray": "0.1.0"}, "seed": 0, "machine": EVIL, "started": 1790000000.5}
    root.write_text(RunLayout.info, json.dumps(info))
    # As a run leaves it while its report, the last act, is written: no unit is left.
    ingested = {"stage": "ingest", "done": 2, "left": 0, "failed": 1}
    root.write_text(
        RunLayout.state,
        json.dumps({"state": "running", "left": 1, "failed": 1, "stages": [ingested]}),
    )
    models.write_teacher(root, PROTOCOL, teacher())
    models.write_student(root, PROTOCOL, student())
    _cohort_tables(run)
    _model_tables(run)
    _subject_tables(run)
    return run
