"""Which protocol a series is like, by its header alone: kind, unit, plane, voxel size and extent.

A run keeps shapes, spacings and units of the scans that its protocols were fitted on, and nothing of their scanners.
How far a series lies from a protocol is told in octaves: the largest factor, as a power of 2, between its spacing or
its extent in the plane and those of the protocol's nearest scan. How many slices it has does not count.
What headers cannot tell is judged by the drift check once it is segmented.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from somray.commands.dicom_node.settings import RefusalError
from somray.config import ProtocolConfig
from somray.domain.channel import channels_of
from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.domain.scan import ScanHeader
from somray.io.ome.image import read_meta
from somray.io.run import StoredRun

__all__ = ["FARTHEST", "KnownProtocol", "known_protocols", "takes"]

FARTHEST = 1.0
"""Octaves: a factor of 2 is the most that a teacher is asked to bridge."""
LOOKED_AT = 10  # scans of a protocol whose planes are looked at

_MODALITIES = {"CT": ("CT",), "PET": ("PT",), "MR": ("MR",), "XCT": ("CT", "XC", "OT")}


def takes(kind: str, modality: str) -> bool:
    """Tell whether a channel that measures `kind` may be a DICOM modality; a kind of no name takes any."""
    return modality in _MODALITIES.get(kind, (modality,))


@dataclass(frozen=True)
class KnownProtocol:
    """A protocol and the scans it was fitted on.

    Args:
        name: of it.
        config: of it.
        kinds: what each channel measures.
        sizes: (n, 5) spacing z, y, x and extent y, x of its scans, mm.
        units: of each channel's values; "" where unknown.
        planes: axes of the patient (0 to 2) across the slices of its scans.
    """

    name: str
    config: ProtocolConfig
    kinds: tuple[str, ...]
    sizes: Any  # Any: numpy, which frozen classes of plain values do not compare
    units: tuple[str, ...]
    planes: frozenset[int]

    def distance(self, header: ScanHeader, channel: int) -> float:
        """Return how far a series lies from the protocol, in octaves.

        Of further channels only the unit counts: they lie where they like.

        Raises:
            RefusalError: the protocol cannot take it.
        """
        kind, unit = self.kinds[channel], self.units[channel]
        if unit and (header.unit or "raw") != unit:
            raise RefusalError(
                "no_units", f"{self.name}: its {kind} is in {header.unit or 'no unit'}, not {unit}"
            )
        if channel > 0:
            return 0.0
        if across(header.geometry) not in self.planes:
            raise RefusalError("no_protocol", f"{self.name}: its slices lie in another plane")
        ratios = np.abs(np.log2(_sizes(header.geometry)[None] / self.sizes))
        if header.geometry.shape[0] == 1:
            ratios = ratios[:, 1:]  # one slice has no distance to a next one
        found = float(ratios.max(axis=1).min())
        if found > FARTHEST:
            factor = f"{2**found:.3g}"
            raise RefusalError(
                "no_protocol",
                f"{self.name}: voxels or extent differ by a factor of {factor} from all its scans",
            )
        return found


def across(geometry: Geometry) -> int:
    """Return the patient's axis that the slices' normal is nearest to."""
    matrix = geometry.matrix
    return int(np.abs(np.cross(matrix[:3, 0], matrix[:3, 1])).argmax())


def _sizes(geometry: Geometry) -> Any:  # Any: numpy
    deep, tall, wide = geometry.spacing_mm
    _, rows, columns = geometry.shape
    return np.array([deep, tall, wide, tall * rows, wide * columns])


def known_protocols(run: StoredRun, names: tuple[str, ...]) -> list[KnownProtocol]:
    """Look at the protocols of a run.

    Args:
        run: finished, or so far that its scans are taken in.
        names: that may answer; where empty all but those of modality `other`, whose headers tell nothing.

    Returns:
        Those with a scan, in the run's order.
    """
    scans = run.table("scans")
    found = []
    for name, config in run.config.protocols.items():
        is_told_apart = config.modality != "other"
        done = scans[(scans["protocol"] == name) & (scans["status"] == "done")]
        if (name in names if names else is_told_apart) and not done.empty:
            found.append(_known(run, name, config, done))
    return found


def _known(run: StoredRun, name: str, config: ProtocolConfig, done: pd.DataFrame) -> KnownProtocol:
    kinds = tuple(c.kind for c in channels_of(config.modality, config.channels))
    spacing = done[["spacing_z_mm", "spacing_y_mm", "spacing_x_mm"]].to_numpy(dtype=np.float64)
    shape = done[["shape_y", "shape_x"]].to_numpy(dtype=np.float64)
    sizes = np.concatenate([spacing, spacing[:, 1:] * shape], axis=1)
    units = {str(unit) for unit in done["unit"].dropna()}
    parts = tuple(units.pop().split(",")) if len(units) == 1 else ()
    looked = [
        read_meta(run.storage, RunLayout.scan(str(row.subject), str(row.session)))
        for row in done.head(LOOKED_AT).itertuples()
    ]
    return KnownProtocol(
        name,
        config,
        kinds,
        np.unique(sizes, axis=0),
        parts if len(parts) == len(kinds) else ("",) * len(kinds),
        frozenset(across(meta.geometry) for meta in looked),
    )
