"""Pairs of sessions whose true motion is known, and pairs that must be refused."""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.phantom import make_subject
from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import move_volume, rigid


@dataclass
class Case:
    """Two volumes on their grids; `motion` takes fixed LPS mm to moving, None where nothing is true."""

    name: str
    fixed: np.ndarray
    fixed_grid: Geometry
    moving: np.ndarray
    moving_grid: Geometry
    motion: np.ndarray | None


def grid_of(volume, spacing):
    return Geometry.from_spacing(volume.shape, spacing)


def bench_volumes(folder):
    """Volumes that the figures are reported on."""
    yield "aorta", scans.aorta(folder), (1.5, 1.5, 1.5)
    # Padding of -3024 as ingest leaves it: air. As it lies in the file, it widens the window by half.
    yield "abdomen", np.maximum(scans.abdomen(folder), -1000.0), (5.0, 0.797, 0.797)
    yield "thigh 022", scans.sarcoma(folder, "022"), (3.27, 0.977, 0.977)
    yield "brain MR", scans.brain(folder), (6.5, 0.781, 0.781)


def tuning_volumes(folder):
    """Volumes that thresholds were chosen on; none of them is reported."""
    yield "thigh 014", scans.sarcoma(folder, "014"), (3.27, 0.977, 0.977)
    yield "thigh 001", scans.sarcoma(folder, "001"), (3.27, 0.977, 0.977)
    yield "PET 003", scans.sarcoma(folder, "003", "PET"), (3.27, 5.469, 5.469)
    yield "fibres", scans.fibres(folder), (1.0, 1.0, 1.0)
    breast = scans.nifti(folder, "mri4d_dce_breast_UCSF-BR-06/dce4d.nii.gz")[0]
    yield "breast MR", breast, (2.0, 0.703, 0.703)


def spread_of(volume):
    low, high = np.nanpercentile(volume, (1, 99))
    return float(high - low)


def known(name, volume, spacing, rng):
    """Yield one case per difficulty: noise, a large turn, half the view, other spacing, a bent gain."""
    grid = grid_of(volume, spacing)
    extent = np.array(volume.shape[::-1]) * np.array(spacing[::-1])
    noise = 0.02 * spread_of(volume)

    def case(kind, degrees, share, onto=None, change=None):
        motion = rigid(
            grid, rng.uniform(-degrees, degrees, 3), rng.uniform(-share, share, 3) * extent
        )
        onto = grid if onto is None else onto
        moving = move_volume(volume, grid, motion, onto, noise, int(rng.integers(1 << 30)))
        moving = moving if change is None else change(moving)
        return Case(f"{name}, {kind}", volume, grid, moving, onto, motion)

    yield case("noise", 5, 0.1)
    yield case("10 degrees", 10, 0.05)
    yield case("through the plane", 2, 0.02, shifted(grid, 0.2))
    yield case("half the view", 4, 0.03, half_of(grid))
    yield case("coarser", 4, 0.05, coarser(grid))
    yield case("gain", 4, 0.05, None, bent)


def shifted(grid, share):
    matrix = grid.matrix.copy()
    matrix[:3, 3] += matrix[:3, 2] * round(share * grid.shape[0])
    return Geometry.from_matrix(grid.shape, matrix)


def half_of(grid):
    return Geometry.from_matrix((grid.shape[0] // 2, *grid.shape[1:]), grid.matrix)


def coarser(grid):
    """Slices of 5 mm (half as thick again where they are thicker), pixels 1.6 times as large."""
    z = grid.spacing_mm[0]
    thick = 5.0 if z < 4.0 else 1.5 * z
    factors = np.array([1.6, 1.6, thick / z])
    shape = tuple(max(4, int(n / f)) for n, f in zip(grid.shape, factors[::-1], strict=True))
    return Geometry.from_matrix(shape, grid.matrix @ np.diag([*factors, 1.0]))


def bent(volume):
    """A coil's slow gain of up to 30 % and a scale of 1.5, as MR sessions differ."""
    axes = [np.linspace(-1, 1, n) for n in volume.shape]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    low = float(np.nanmin(volume))
    return ((volume - low) * 1.5 * (1 + 0.2 * x - 0.1 * y * z) + low).astype(np.float32)


def phantom_pairs(modality, subjects, sessions, seed, shape=(32, 128, 128)):
    """Yield all consecutive sessions of synthetic subjects, changed lesions and slice jitter included."""
    for subject in range(subjects):
        made = make_subject(modality, shape, sessions, seed, subject)
        name = {"ct": "CT", "petct": "CT", "xct": "XCT"}[modality]
        for one, other in itertools.pairwise(made):
            motion = other.movement @ np.linalg.inv(one.movement)
            yield Case(
                f"{modality} {subject}.{one.index}",
                one.images[name], one.geometries[name],
                other.images[name], other.geometries[name], motion,
            )  # fmt: skip


def hopeless(volumes, rng):
    """Yield pairs that must be refused: mirror images, strangers, nothing, noise."""
    loaded = list(volumes)
    for number, (name, volume, spacing) in enumerate(loaded):
        grid = grid_of(volume, spacing)
        noise = 0.02 * spread_of(volume)
        motion = rigid(grid, rng.uniform(-3, 3, 3), rng.uniform(-5, 5, 3))
        moved = move_volume(volume, grid, motion, grid, noise, int(rng.integers(1 << 30)))
        for axis, which in enumerate(("z", "y", "x")):
            flipped = np.ascontiguousarray(np.flip(moved, axis))
            yield Case(f"{name}, mirrored in {which}", volume, grid, flipped, grid, None)
        stranger, other, apart = loaded[(number + 1) % len(loaded)]
        yield Case(f"{name} and {stranger}", volume, grid, other, grid_of(other, apart), None)
        yield Case(f"{name} and nothing", volume, grid, np.zeros_like(volume), grid, None)
        random = rng.normal(size=volume.shape).astype(np.float32)
        yield Case(f"{name} and noise", volume, grid, random, grid, None)
        smooth = ndimage.gaussian_filter(random, 3.0)
        yield Case(f"{name} and clouds", volume, grid, smooth, grid, None)
