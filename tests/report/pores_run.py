"""A run of one micro-CT sample in two sessions with as many pores as a test asks for: rows are drawn, not measured."""

import json
from pathlib import Path

import numpy as np
import yaml

from somray.domain import tables as t
from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.domain.teacher import CLASSES
from somray.io import models
from somray.io.ome import image as ome_zarr
from somray.io.ome.image import ScanMeta

from .small_run import SmallRun, teacher

PROTOCOL = "bone-xct"
SESSIONS = ("t0", "t1")
SPACING = (0.01, 0.01, 0.01)
BALLS = 400  # in 10⁶ voxels, drawn into the image
KINDS = ("enlarging", "stable", "stable", "shrinking", "split", "merged")


def lesion_rows(session: str, count: int, seed: int = 0) -> list[t.LesionRow]:
    """Draw pores of lognormal sizes; most lie along z, one in ten is a ball without direction."""
    rng = np.random.default_rng(seed)
    diameter = rng.lognormal(-3.2, 0.5, count)
    volume = np.pi / 6 * diameter**3
    centre = rng.uniform(0, 2, (count, 3))
    vector = rng.normal(size=(count, 3)) * (0.4, 0.4, 1.0)
    vector *= np.sign(vector[:, 2:]) / np.linalg.norm(vector, axis=1, keepdims=True)
    elongation = 1 + rng.gamma(2.0, 0.4, count)
    rows = []
    for n in range(count):
        has = n % 10 > 0
        x, y, z = vector[n].tolist() if has else (None, None, None)
        rows.append(t.LesionRow(
            "s01", session, 0, n + 1, float(volume[n]), *centre[n].tolist(), float(diameter[n]), 20.0,
            30.0, 10.0, 2.0, surface_mm2=float(4 * volume[n] ** (2 / 3)),
            sphericity=float(np.clip(1.05 - 0.15 * elongation[n], 0.2, 1.0)),
            nearest_mm=float(rng.gamma(3, 0.01)) if count > 1 else None,
            equivalent_diameter_mm=float(diameter[n]), elongation=float(elongation[n]), flatness=1.2,
            orientation_x=x, orientation_y=y, orientation_z=z,
            polar_angle_deg=None if z is None else float(np.degrees(np.arccos(z))),
            touches_border=n % 50 == 0,
        ))  # fmt: skip
    return rows


def _evolution(count: int) -> list[t.EvolutionRow]:
    return [
        t.EvolutionRow("s01", n + 1, "t0", "t1", KINDS[n % len(KINDS)], 1e-6 * (1 + n % 997), 1e-5, 0.2, 0.01, [],
                       True, "misaligned" if n % 40 == 0 else None, 0.9)
        for n in range(count)
    ]  # fmt: skip


def _links(count: int) -> list[t.LinkRow]:
    return [
        t.LinkRow("s01", "t0", "t1", n + 1, n + 1, "overlap", 1e-4, 0.8, 0.01, True)
        for n in range(count)
    ]


def _porosity(session: str, shape: tuple[int, int, int]) -> list[t.PorosityRow]:
    rows = []
    for axis, size in zip("zyx", shape, strict=True):
        voxels = int(np.prod(shape)) // size
        for index in range(size):
            turn = index / size * 6 + SESSIONS.index(session)
            lesions = int(voxels * (0.05 + 0.03 * np.sin(turn)))
            sample = voxels * 8 // 10
            share = lesions / voxels
            rows.append(t.PorosityRow("s01", session, 0, axis, index, index * 0.01, voxels, lesions, share,
                                      sample, lesions / sample))  # fmt: skip
    return rows


def pores_mask(shape: tuple[int, int, int], seed: int) -> np.ndarray:
    """Draw balls of 2 to 5 voxels at random places, as lesion ids, (z, y, x) int32."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    count = max(1, int(BALLS * np.prod(shape) / 1e6))
    for number in range(1, count + 1):
        radius = int(rng.integers(2, 6))
        corner = [int(rng.integers(0, max(1, n - 2 * radius))) for n in shape]
        box = tuple(slice(a, a + 2 * radius + 1) for a in corner)
        z, y, x = np.indices(labels[box].shape) - radius
        labels[box][z**2 + y**2 + x**2 <= radius**2] = number
    return labels


def write_scan(run: SmallRun, session: str, shape: tuple[int, int, int], seed: int) -> None:
    """Write a dark-pored scan with its map and its lesions."""
    labels = pores_mask(shape, seed)
    noise = np.random.default_rng(seed).normal(0, 3, shape)
    image = (np.where(labels > 0, 30.0, 120.0) + noise).astype(np.float32)
    classes = np.where(labels > 0, 3, 2).astype(np.uint8)
    name = RunLayout.scan("s01", session)
    meta = ScanMeta((1, 1, *shape), Geometry.from_spacing(shape, SPACING), ("XCT",), "raw", "digest",
                    ((0.0, 255.0),), anatomical=False)  # fmt: skip
    ome_zarr.create_scan(run.storage, name, meta)
    for brick in meta.bricks():
        ome_zarr.write_brick(run.storage, name, brick, image[None, *brick.box])
    ome_zarr.finish_scan(run.storage, name, meta)
    for label, values, kind in (("som", classes, "uint8"), ("lesions", labels, "int32")):
        ome_zarr.create_labels(run.storage, name, label, kind)
        for brick in meta.bricks():
            ome_zarr.write_label_brick(run.storage, name, label, brick, values[brick.box])
        ome_zarr.finish_labels(run.storage, name, label, CLASSES if label == "som" else {})


def _slices(session: str, shape: tuple[int, int, int]) -> list[t.Row]:
    return [
        t.SliceRow("s01", session, method, 0, z, 0.1, 0.05, 0.9)
        for method in ("som", "lesions")
        for z in range(shape[0])
    ]


def _pairs(session: str, depth: int) -> list[t.Row]:
    matrix = [1.0, 0, 0, 0, 1, 0, 0, 0, 1]
    return [
        t.RegistrationRow("s01", "slices", session, session, 0, z, z + 1, 40, 42, 20, 12, 0.6, 0.4,
                          "similarity", matrix, "ok", None, 0.12, 0.03, 0.8, 0.97)
        for z in range(depth - 1)
    ]  # fmt: skip


def build(
    folder: Path, pores: int, shape: tuple[int, int, int] = (6, 40, 48), depth: int | None = None
) -> SmallRun:
    """Write the run; `depth` slices stand in the tables, those of `shape` where it is left out."""
    run = SmallRun(folder / "run")
    protocols = {PROTOCOL: {"modality": "XCT", "segment": "som"}}
    config = {"scans": str(folder / "scans.csv"), "output": str(run.root), "protocols": protocols}
    run.storage.write_text(RunLayout.config, yaml.safe_dump(config))
    run.storage.write_text(RunLayout.info, json.dumps({"seed": 0}))
    lines = [f"s01,{s},{PROTOCOL},in/{s}.nii.gz" for s in SESSIONS]
    (folder / "scans.csv").write_text("\n".join(["subject,session,protocol,path", *lines]) + "\n")
    models.write_teacher(run.storage, PROTOCOL, teacher())
    told = (depth or shape[0], *shape[1:])
    for number, session in enumerate(SESSIONS):
        write_scan(run, session, shape, number)
    for table in t.TABLES:
        run.rows(table, PROTOCOL, [])
    run.rows("scans", PROTOCOL, [
        t.ScanRow("s01", s, f"in/{s}.nii.gz", 1, 1, *told, *SPACING, "XCT", "raw", 7.0 * n, None, "done")
        for n, s in enumerate(SESSIONS)
    ])  # fmt: skip
    run.rows(
        "lesions", PROTOCOL, [r for n, s in enumerate(SESSIONS) for r in lesion_rows(s, pores, n)]
    )
    run.rows("evolution", PROTOCOL, _evolution(pores))
    run.rows("links", PROTOCOL, _links(pores))
    run.rows("porosity", PROTOCOL, [r for s in SESSIONS for r in _porosity(s, told)])
    run.rows("slices", PROTOCOL, [r for s in SESSIONS for r in _slices(s, shape)])
    run.rows("registration", PROTOCOL, [r for s in SESSIONS for r in _pairs(s, told[0])])
    run.rows("areas", PROTOCOL, [
        t.AreaRow("s01", s, 0, z, name, share * 100, share)
        for s in SESSIONS for z in range(told[0])
        for name, share in (("background", 0.2), ("normal", 0.7), ("lesion", 0.1))
    ])  # fmt: skip
    return run
