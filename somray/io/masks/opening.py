"""Masks of every format to a `Source` of whole numbers: what scans may have, and what only masks are written in."""

from pathlib import Path

from somray.domain.geometry import Geometry
from somray.io.masks.color_masks import is_color_mask, open_colors
from somray.io.masks.dicom_objects import mask_object
from somray.io.masks.dicom_seg import open_seg
from somray.io.masks.mask_folder import MaskFolder, masks_within
from somray.io.masks.rtstruct import open_rtstruct
from somray.io.masks.segment_layers import open_layers
from somray.io.readers import Source, open_source, split_channel
from somray.io.readers.nrrd import is_nrrd
from somray.io.readers.remote import local_path, open_remote
from somray.io.readers.source import coded
from somray.io.storage import is_url

__all__ = ["may_overlap", "open_mask"]


def open_mask(path: str, image: Geometry | None = None) -> Source:
    """Open a label mask: any format of scans, DICOM SEG and RTSTRUCT, Slicer's layers, colors, one mask per label.

    Args:
        path: file, folder or URL; `#channel=NAME` at its end chooses one region of an RTSTRUCT, or one
            segment of a DICOM SEG or of layers.
        image: grid of the scan that the mask was drawn on, which contours need.

    Raises:
        DataError: as `open_source`; `mask_mismatch`: contours that lie elsewhere.
    """
    named, channel = split_channel(path)
    if is_url(named) and local_path(named) is None:
        return open_remote(named, channel, lambda local: _opened(local, channel, image))
    return _opened(local_path(named) or named, channel, image)


def _opened(named: str, channel: str | None, image: Geometry | None) -> Source:
    """Open a mask of this machine."""
    place = Path(named)
    with coded(place):
        found = mask_object(place)
        if found is not None and found[1] == "RTSTRUCT":
            return open_rtstruct(found[0], image, channel)
        if found is not None:
            return open_seg(found[0], channel)
        if is_nrrd(place) and (layers := open_layers(place, channel)) is not None:
            return layers
        if is_color_mask(place):
            return open_colors(place)
        path = named if channel is None else f"{named}#channel={channel}"
        if files := masks_within(path):
            return MaskFolder(path, [open_mask(file, image) for file in files])
    return open_source(path)


def may_overlap(path: str) -> bool:
    """Whether a mask holds regions apart, of which `#channel=LABEL` gives one as it was drawn.

    Raises:
        DataError: as `open_mask`.
    """
    place = Path(path)
    with coded(place):
        if mask_object(place) is not None:
            return True
        return is_nrrd(place) and open_layers(place) is not None
