"""Synthetic cohorts written, run and read back for bench_evolution.py."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import zarr

import somray
from somray.commands.launch import load_cohort
from somray.domain.geometry import Geometry
from somray.kernels.evolution.follow import follow
from somray.kernels.evolution.time_points import identity_lookup
from somray.kernels.lesions.instances import lesions
from somray.phantom import make_subject
from somray.pipeline.cohort import run_cohort
from somray.runtime.serial import SerialExecutor
from somray.stages.evolution.evolve import LesionConfig, thresholds_of
from tests.benchmarks.evolution_scores import Score, score
from tests.kernels.whole_lesions import session_lesions

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass
class Subject:
    """What is true of one subject: identities drawn, grids, events, movement t0 to each session."""

    identities: list
    grids: list
    events: list
    movement: list


def made(modality, shape, sessions, seed, number):
    """Make one subject in memory."""
    found = make_subject(modality, shape, sessions, seed, number)
    events = [
        {
            "to": e.to_session,
            "lesion_id": e.lesion_id,
            "change": e.change,
            "linked_ids": e.linked_ids,
        }
        for s in found
        for e in s.events
    ]
    return Subject(
        [s.lesions for s in found],
        [next(iter(s.geometries.values())) for s in found],
        events,
        [s.movement for s in found],
    )


def written(folder):
    """Read the truth of a cohort on disk, subject by subject."""
    rows = list(csv.DictReader((folder / "truth/events.csv").read_text().splitlines()))
    moves = json.loads((folder / "truth/movement.json").read_text())["subjects"]
    for subject, by_session in moves.items():
        images = [
            nibabel.load(folder / f"truth/identities/sub-{subject}_ses-{t}.nii.gz")
            for t in by_session
        ]
        drawn = [np.asarray(image.dataobj).T.astype(np.int32) for image in images]
        grids = [
            Geometry.from_matrix(d.shape, RAS_TO_LPS @ i.affine)
            for d, i in zip(drawn, images, strict=True)
        ]
        events = [
            {
                "to": int(r["to_session"][1:]),
                "lesion_id": int(r["lesion_id"]),
                "change": r["change"],
                "linked_ids": [int(v) for v in r["linked_ids"].split()],
            }
            for r in rows
            if r["subject"] == subject
        ]
        yield subject, Subject(drawn, grids, events, [np.array(m) for m in by_session.values()])


def tracked(subject, name, transforms=None):
    """Follow true masks by true movements (or others), and score what is told."""
    sessions = []
    for number, (drawn, grid) in enumerate(zip(subject.identities, subject.grids, strict=True)):
        sessions.append(session_lesions(f"t{number}", grid, lesions(drawn > 0, grid.spacing_mm)))
    transforms = transforms or [np.linalg.inv(m) for m in subject.movement]
    config = LesionConfig()
    if (
        subject.grids[0].voxel_mm3 < 1e-3
    ):  # a specimen, as `somray phantom` writes its configuration
        config = LesionConfig(change_floor_mm3=0.0)
    evolution = follow(sessions, transforms, thresholds_of(config, subject.grids))
    found = []
    for session, identities in zip(sessions, evolution.identities, strict=True):
        found.append(identity_lookup(session, identities)[session.voxels.labels])
    rows = [
        {
            "lesion_id": c.lesion_id,
            "change": c.change,
            "doubt": c.doubt,
            "to": int(c.to_session[1:]),
        }
        for c in evolution.changes
    ]
    return score(subject.identities, found, subject.events, rows, name)


def run_whole(folder, segment):
    """Run a written cohort from files to tables, without a report."""

    def no_report(root):
        (Path(root) / "report").mkdir(exist_ok=True)
        (Path(root) / "report/index.html").write_text("")

    protocol = next(iter(load_cohort(folder / "cohort.yaml", ()).config.protocols))
    settings = (
        f"protocols.{protocol}.segment={segment}",
        f"protocols.{protocol}.registration.pairs=[sessions]",
    )
    cohort = load_cohort(folder / "cohort.yaml", settings)
    summary = run_cohort(cohort, SerialExecutor(), no_report)
    assert (summary["state"], summary["failed"]) == ("done", 0)


def compared(folder):
    """Score a run against the truth; and how far each session's alignment is off, in voxels and mm."""
    run, total, off = somray.open_run(folder / "run"), Score(), []
    evolution, alignment = run.table("evolution"), run.table("alignment")
    for subject, truth in written(folder):
        found = [
            np.asarray(
                zarr.open_group(folder / f"run/scans/sub-{subject}_ses-t{n}.ome.zarr", mode="r")[
                    "labels/lesions/0"
                ][0]
            )
            for n in range(len(truth.identities))
        ]
        rows = [
            {
                "lesion_id": int(r.lesion_id),
                "change": r.change if isinstance(r.change, str) else None,
                "doubt": r.doubt if isinstance(r.doubt, str) else None,
                "to": int(r.to_session[1:]),
            }
            for r in evolution[evolution.subject == subject].itertuples()
        ]
        total = total + score(truth.identities, found, truth.events, rows, subject)
        ours = alignment[(alignment.subject == subject) & (alignment.kind == "sessions")]
        for n in range(1, len(truth.identities)):
            (matrix,) = ours[ours.session == f"t{n}"]["matrix"]
            if matrix is None:
                total.told.append(f"{subject} t{n} refused")
            else:
                off.append(movement_error(truth, n, np.reshape(matrix, (4, 4))))
    return total, np.array(off)


def movement_error(truth, number, to_first):
    """How far points of a session end from where they belong: median voxels, largest voxels and mm."""
    grid = truth.grids[number]
    steps = [np.linspace(0, size - 1, 5) for size in grid.shape]
    points = grid.to_world(np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3))
    true = np.linalg.inv(truth.movement[number])
    apart = points @ (to_first - true)[:3, :3].T + (to_first - true)[:3, 3]
    voxels = np.linalg.norm(apart @ np.linalg.inv(grid.matrix[:3, :3]).T, axis=1)
    return np.median(voxels), voxels.max(), np.linalg.norm(apart, axis=1).max()
