"""Open the channels of one scan and check what their headers say of each other and of the protocol."""

import contextlib
from collections.abc import Sequence

from somray.domain.channel import channels_of
from somray.domain.scan import Scan, ScanHeader
from somray.errors import DataError
from somray.io.readers import Source, open_source
from somray.kernels.grids.slabs import overlaps

__all__ = ["open_channels"]

_DICOM_MODALITY = {"CT": ("CT",), "PET": ("PT",), "MR": ("MR",), "XCT": ("CT", "XC", "OT")}


def open_channels(
    scan: Scan,
    modality: str,
    channels: Sequence[str],
    opened: contextlib.ExitStack,
    irregular: str = "refuse",
    spacing_mm: tuple[float, float, float] | None = None,
) -> list[Source]:
    """Open every channel's source; reads headers only.

    Args:
        scan: as the manifest names it.
        modality: of the protocol.
        channels: of the protocol, in order.
        opened: closes the sources.
        irregular: refuse or resample.
        spacing_mm: (z, y, x), for files that name no voxel size.

    Raises:
        DataError: what headers can tell.
    """
    sources: list[Source] = []
    seen = channels_of(modality, channels)
    for channel, path in zip(seen, scan.paths, strict=True):
        if path is None:
            raise DataError(
                "channel_missing",
                f"the manifest has no row for channel {channel.name} of this scan; add it",
            )
        source = opened.enter_context(open_source(path, irregular, spacing_mm))
        _check_modality(path, source.header, channel.name, channel.kind)
        sources.append(source)
    for channel, source in zip(seen[1:], sources[1:], strict=True):
        _check_together(channel.name, source.header, sources[0].header)
    return sources


def _check_modality(path: str, header: ScanHeader, channel: str, kind: str) -> None:
    """Refuse what the header calls another modality, and CT that cannot be brought to HU."""
    expected = _DICOM_MODALITY.get(kind)
    if header.modality is not None and expected is not None and header.modality not in expected:
        raise DataError(
            "wrong_modality",
            f"{path}: its header says {header.modality}, the protocol expects "
            f"{' or '.join(expected)} for channel {channel}; correct the path or the protocol",
        )
    if kind == "CT" and header.modality == "CT" and header.unit == "raw":
        raise DataError(
            "no_units",
            f"{path}: its header does not say how stored values become HU (RescaleIntercept, "
            "RescaleType); export it again, or use modality `other`",
        )


def _check_together(channel: str, header: ScanHeader, first: ScanHeader) -> None:
    """Refuse a channel with other time points than the first, or elsewhere in space."""
    if header.shape[0] != first.shape[0]:
        raise DataError(
            "channel_mismatch",
            f"channel {channel} has {header.shape[0]} time points, the first channel {first.shape[0]}",
        )
    if not overlaps(first.geometry, header.geometry):
        raise DataError(
            "channel_mismatch",
            f"channel {channel} lies outside the first channel's field of view; "
            "are both of the same examination?",
        )
