"""What is asked of a scan on its way in, and how the units that take it in share it."""

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from somray.config import ProtocolConfig
from somray.domain.brick import Brick
from somray.domain.channel import channels_of
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.domain.work import MIB, WORKER_BYTES
from somray.io.ome.image import ScanMeta
from somray.io.ome.links import StoredArray, is_readable_in_place
from somray.io.readers import Source
from somray.io.storage import is_url
from somray.stages.reading.sources import open_channels

__all__ = [
    "ASSUMED_UNIT",
    "IngestItem",
    "bytes_held",
    "bytes_of_slices",
    "meta_of",
    "parts_of",
    "stored_of",
]

ASSUMED_UNIT = {"CT": "HU"}  # NIfTI and its like do not say; CT is in HU by convention

PART_BYTES = 256 * MIB  # of float32: some seconds of one core
HELD_BYTES = 120 * MIB  # readers, encoders, what they leave behind
HELD_BRICKS = 5  # of all channels: as read, as repaired, masks, as encoded, smaller levels


@dataclass(frozen=True)
class IngestItem:
    """One scan and what its protocol says about it.

    Args:
        root: path or URL of the run.
        scan: as the manifest names it.
        modality: of the protocol.
        channels: of the protocol, in order.
        windows: per channel (low, high), None where chosen later.
        irregular: refuse or resample.
        repair_fraction: share of voxels that may be repaired.
        spacing_mm: (z, y, x), for files that name no voxel size.
        recipe: names all that decides the result beside the files; told again in the result.
        in_parts: a scan that several units can share is only opened.
        in_place: an image that its source stores as it is read stays there.
    """

    root: str
    scan: Scan
    modality: str
    channels: tuple[str, ...]
    windows: tuple[tuple[float, float] | None, ...]
    irregular: str
    repair_fraction: float
    spacing_mm: tuple[float, float, float] | None = None
    recipe: str = ""
    in_parts: bool = False
    in_place: bool = False

    @classmethod
    def of(cls, root: str, scan: Scan, config: ProtocolConfig, recipe: str = "") -> "IngestItem":
        """Say what a protocol asks of a scan on its way into a run at `root`."""
        return cls(
            root=root,
            scan=scan,
            modality=config.modality,
            channels=tuple(config.channels),
            windows=config.windows,
            irregular=config.irregular,
            repair_fraction=config.repair_fraction,
            spacing_mm=config.spacing_mm,
            recipe=recipe,
            in_place=config.in_place == "auto",
        )

    @property
    def name(self) -> str:
        """The scan's group in the run."""
        return RunLayout.scan(self.scan.subject, self.scan.session)

    def opened(self, stack: ExitStack) -> list[Source]:
        """Open every channel's source; see `open_channels`."""
        return open_channels(
            self.scan, self.modality, self.channels, stack, self.irregular, self.spacing_mm
        )

    def facts(self, meta: ScanMeta) -> dict[str, Any]:
        """Return what headers alone tell the units that come next (JSON)."""
        return {
            "shape": list(meta.shape),
            "spacing_mm": list(meta.geometry.spacing_mm),
            "unit": meta.unit,
            "windows": [None if window is None else list(window) for window in self.windows],
            "repairs": list(meta.repairs),
            "recipe": self.recipe,
        }


def meta_of(item: IngestItem, sources: Sequence[Source]) -> ScanMeta:
    """Describe a scan by the headers of its channels."""
    first = sources[0].header
    units = [
        source.header.unit or ASSUMED_UNIT.get(channel.kind, "raw")
        for channel, source in zip(channels_of(item.modality, item.channels), sources, strict=True)
    ]
    noted = [code for source in sources for code in source.header.repairs]
    t, z, y, x = first.shape
    return ScanMeta(
        shape=(t, len(sources), z, y, x),
        geometry=first.geometry,
        channels=item.channels,
        unit=",".join(units),
        windows=item.windows,
        repairs=tuple(dict.fromkeys(noted)),
        anatomical=item.modality != "XCT",
    )


def stored_of(
    item: IngestItem, meta: ScanMeta, sources: Sequence[Source]
) -> tuple[StoredArray, ...]:
    """Return the channels of a scan that can stay where it is stored; () where it is to be copied."""
    if not item.in_place or is_url(item.root):
        return ()
    found = [source.stored for source in sources if source.header.geometry == meta.geometry]
    stored = tuple(one for one in found if one is not None)
    whole = len(stored) == len(sources)
    return stored if whole and is_readable_in_place(meta, stored) else ()


def bytes_of_slices(meta: ScanMeta, sources: Sequence[Source]) -> int:
    """Return the bytes that the largest slice takes which a cut scan's sources decode whole; 0 where none."""
    if not meta.is_cut:
        return 0
    return max(
        source.header.shape[2] * source.header.shape[3] * source.slice_bytes
        if source.windows == "slices"
        else 0
        for source in sources
    )


def bytes_held(meta: ScanMeta | None = None, slices: int = 0) -> int:
    """Return what a task that fills bricks holds, beside whole slices that its sources decode.

    Args:
        meta: the scan; None for the largest there are.
        slices: from `bytes_of_slices`.
    """
    brick = 64 * MIB if meta is None else 4 * meta.shape[1] * max(b.voxels for b in meta.bricks(0))
    return WORKER_BYTES + HELD_BYTES + HELD_BRICKS * brick + slices


def parts_of(meta: ScanMeta, sources: Sequence[Source]) -> list[tuple[int, int]]:
    """Share a scan's bricks among units.

    Returns:
        First and last brick (excluded) of each, in order; nothing where one unit takes the scan in: it is small, or
        its source is better read by one alone, and no slices must be held for which memory has to be asked.
    """
    bricks, channels = meta.bricks(), meta.shape[1]
    splits = all(source.splits for source in sources)
    total = 4 * channels * sum(brick.voxels for brick in bricks)
    if not bytes_of_slices(meta, sources) and not (splits and total > 2 * PART_BYTES):
        return []
    if not splits:
        return [(0, len(bricks))]
    decoded: set[str] = {source.windows for source in sources} if meta.is_cut else {"boxes"}
    ends = [0]
    for _, group in itertools.groupby(bricks, lambda brick: _together(brick, decoded)):
        ends.append(ends[-1] + len(list(group)))
    return _filled(ends, [4 * channels * brick.voxels for brick in bricks])


def _together(brick: Brick, decoded: set[str]) -> tuple[int, ...]:
    """Name what bricks must share that one unit fills, because they are decoded together."""
    if "slices" in decoded:
        return brick.t, brick.z0
    corner = (brick.t, brick.z0, brick.y0)
    return corner if "rows" in decoded else (*corner, brick.x0)


def _filled(ends: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Join neighbouring groups of bricks until each is a unit's worth."""
    found, first, held = [], 0, 0
    for start, stop in itertools.pairwise(ends):
        held += sum(sizes[start:stop])
        if held >= PART_BYTES or stop == ends[-1]:
            found.append((first, stop))
            first, held = stop, 0
    return found
