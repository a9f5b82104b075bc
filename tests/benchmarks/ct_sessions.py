"""A body on CT in several sessions with lesions that grow, made and written slice by slice, however large.

An ellipse of soft tissue in a rim of fat, two lungs, a spine, and dense balls: the lesions, spread along z, whose
radii grow by a tenth a session. Between sessions the body lies some pixels aside
and has other noise. What it shows is drawn for the walk, not for judging a teacher.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["CtSessions"]

AIR, LUNG, FAT, SOFT, BONE, LESION = -1000.0, -800.0, -100.0, 40.0, 500.0, 180.0  # HU
NOISE = 12.0  # HU
SPACING = (1.0, 0.8, 0.8)  # mm
GROWTH = 1.1  # of a radius from session to session


@dataclass(frozen=True)
class CtSessions:
    """The sessions of one subject.

    Args:
        shape: (z, y, x).
        lesions: how many.
        seed: of places, radii and noise.
    """

    shape: tuple[int, int, int]
    lesions: int = 12
    seed: int = 0

    @cached_property
    def balls(self) -> NDArray[np.float64]:
        """Return (n, 4): centre in z, y, x and radius at the first session, all in mm."""
        random = np.random.default_rng(self.seed)
        depth, rows, columns = np.array(self.shape) * SPACING
        z = (np.arange(self.lesions) + 0.5) * depth / self.lesions
        side = np.where(np.arange(self.lesions) % 2, 0.43, 0.57) * columns
        y = rows * random.uniform(0.38, 0.48, self.lesions)
        radius = random.uniform(0.02, 0.035, self.lesions) * rows
        return np.column_stack([z, y, side, radius])

    def slices(self, session: int):
        """Yield every slice (y, x) int16 of a session, from z 0 on."""
        random = np.random.default_rng((self.seed, session))
        aside = 3 * session
        noise = random.normal(0, NOISE, (7, *self.shape[1:])).astype(np.float32)
        for z in range(self.shape[0]):
            values = np.roll(self._still(z, session), aside, axis=1)
            values = values + np.roll(noise[z % 7], random.integers(0, self.shape[1:]), axis=(0, 1))
            yield np.rint(values).astype(np.int16)

    def write(self, path, session: int) -> None:
        """Write a session as MetaImage (.mha, uncompressed)."""
        depth, rows, columns = self.shape
        header = (
            "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
            "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
            f"ElementSpacing = {SPACING[2]} {SPACING[1]} {SPACING[0]}\nDimSize = {columns} {rows} {depth}\n"
            "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
        )
        with open(path, "wb") as file:
            file.write(header.encode())
            for plane in self.slices(session):
                file.write(plane.astype("<i2").tobytes())

    def _still(self, z: int, session: int) -> NDArray[np.float32]:
        """Return a slice without noise, the body in its first place."""
        _, rows, columns = self.shape
        y, x = (np.indices((rows, columns), dtype=np.float32).T / (rows, columns)).T
        breath = np.float32(0.01 * np.sin(z / 37))
        body = _ellipse(y, x, (0.5, 0.5), (0.34 + breath, 0.43))
        values = np.where(body < 1, np.float32(FAT), np.float32(AIR))
        values[body < 0.85] = SOFT
        for side in (0.27, 0.73):
            values[_ellipse(y, x, (0.47, side), (0.2 + breath, 0.1)) < 1] = LUNG
        values[_ellipse(y, x, (0.72, 0.5), (0.05, 0.055)) < 1] = BONE
        at = self.balls
        offset = z * SPACING[0] - at[:, 0]
        for (_, cy, cx, radius), dz in zip(at, offset, strict=True):
            grown = radius * GROWTH**session
            inside = grown**2 - dz**2
            if inside > 0:
                away = (y * rows * SPACING[1] - cy) ** 2 + (x * columns * SPACING[2] - cx) ** 2
                values[away <= inside] = LESION
        return values


def _ellipse(y, x, centre, half):
    return ((y - centre[0]) / half[0]) ** 2 + ((x - centre[1]) / half[1]) ** 2
