"""Turned slices of near-symmetric bodies whose motion is known, and wrong pairs of the same bodies.

Slices of even number were looked at while bounds were chosen, those of odd number are reported.
"""

import zlib

import numpy as np
import pydicom

from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import move_slice, similarity

PEOPLE = ("004", "012", "022", "031")  # none of them was used to choose a bound


def head(folder):
    files = [pydicom.dcmread(f) for f in sorted((folder / "dicom_ct_head_irregular").glob("*.dcm"))]
    files.sort(key=lambda f: float(f.ImagePositionPatient[2]))
    return np.stack(
        [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in files]
    ).astype(np.float32)


def bodies(folder):
    """Name to (volume, slices that are reported)."""
    found = {"brain MR": (scans.brain(folder), range(5, 22, 2)),
             "head CT": (head(folder), range(2, 12, 2))}  # fmt: skip
    for who in PEOPLE:
        for channel, step in (("CT", 16), ("PET", 24)):
            volume = scans.sarcoma(folder, who, channel)
            found[f"{channel} {who}"] = volume, range(13, len(volume) - 5, step)
    found["abdomen CT"] = scans.abdomen(folder), range(10, 37, 12)
    return found


def noisy(image, rng, share=0.04):
    low, high = np.nanpercentile(image, (0.5, 99.5))
    return (image + rng.normal(0, share * (high - low), image.shape)).astype(np.float32)


def bent(image, rng):
    """Another contrast and a coil's slow gain."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in image.shape], indexing="ij")
    low, high = np.nanpercentile(image, (0.5, 99.5))
    share = np.clip((image - low) / (high - low), 0, None) ** rng.uniform(0.7, 1.4)
    gain = 1 + 0.2 * x * rng.uniform(-1, 1) - 0.15 * y
    return (low + (high - low) * share * gain).astype(np.float32)


def sessions(volume, z, rng):
    """Yield (kind, fixed, moving, truth): turned by 15 to 30 degrees, at heights between the slices."""
    for kind, height, contrast in (
        ("as it is", 0.0, False),
        ("height", 0.3, False),
        ("height and contrast", 0.5, True),
    ):
        turn = rng.uniform(15, 30) * rng.choice([-1, 1])
        truth = similarity(
            volume[z].shape, turn, 1.0, rng.uniform(-0.08, 0.08, 2) * volume[z].shape[::-1]
        )
        moving = move_slice((1 - height) * volume[z] + height * volume[z + 1], truth)
        moving = bent(moving, rng) if contrast else moving
        yield kind, noisy(volume[z], rng), noisy(moving, rng), truth


def wrong(name, z, everyone, rng):
    """Yield (kind, fixed, moving) of pairs that must be refused."""
    volume = everyone[name][0]
    (_, fixed, moving, _), *_ = sessions(volume, z, rng)
    yield "flipped left-right", fixed, moving[:, ::-1]
    yield "flipped up-down", fixed, moving[::-1]
    who = name.split()[-1]
    others = [n for n in everyone if who not in n]
    alike = [n for n in others if n.split()[0] == name.split()[0]] or others
    for kind, names in (("another person", alike), ("unrelated", others)):
        other = everyone[names[rng.integers(len(names))]][0]
        same_height = int(np.clip(round(z / len(volume) * len(other)), 0, len(other) - 1))
        place = same_height if kind == "another person" else int(rng.integers(len(other)))
        yield kind, fixed, other[place]
    far = (z + len(volume) // 2) % len(volume)
    yield "half a scan away", fixed, noisy(volume[far], rng)


def seeded(name, z):
    return np.random.default_rng(zlib.crc32(f"{name} {z}".encode()))
