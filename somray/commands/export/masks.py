"""Masks of a run as NIfTI, NRRD, DICOM-SEG and RTSTRUCT, each on its source's own grid."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pydicom

from somray import __version__
from somray.commands.export.request import LABELS, ExportRequest
from somray.commands.export.scans import StoredScan, chosen_scans, labels_of, told
from somray.commands.export.sources import SourceGrid, on_grid, on_slices, source_grid
from somray.commands.words import check_word
from somray.errors import DataError, ExportError
from somray.io.run import StoredRun, open_run
from somray.io.storage import Storage
from somray.io.writers.dicom.rtstruct import write_rtstruct
from somray.io.writers.dicom.seg import require_highdicom, write_seg
from somray.io.writers.dicom.slices import MOST_BYTES, SliceMask, read_slices
from somray.io.writers.nifti import is_sheared, label_text, write_nifti
from somray.io.writers.nrrd import write_nrrd
from somray.io.writers.voxels import LabelMap

__all__ = ["MASK_FORMATS", "check_form", "export_masks", "write_mask"]

_SHEARED = (
    "its slices are tilted: NIfTI tells that by an sform alone, which ITK (ITK-SNAP, SimpleITK) refuses; nrrd "
    "tells it to all"
)


@dataclass(frozen=True)
class _Target:
    """One mask and where it goes."""

    storage: Storage
    stored: StoredScan
    label: str
    grid: SourceGrid


def _write_nifti(target: _Target, labels: LabelMap) -> tuple[list[str], str]:
    placed = on_grid(labels, target.grid.geometry)
    name, side = (
        target.stored.file(target.label, ".nii.gz"),
        target.stored.file(target.label, ".label"),
    )
    write_nifti(target.storage, name, placed.voxels)
    target.storage.write_text(side, label_text(placed.segments))
    sheared = _SHEARED if is_sheared(target.grid.geometry) else ""
    return [name, side], "; ".join(filter(None, [target.grid.note, sheared]))


def _write_nrrd(target: _Target, labels: LabelMap) -> tuple[list[str], str]:
    name = target.stored.file(target.label, ".nrrd")
    write_nrrd(target.storage, name, on_grid(labels, target.grid.geometry))
    return [name], target.grid.note


def _write_dicom(
    form: str,
    modality: str,
    write: Callable[[Storage, str, SliceMask], None],
    target: _Target,
    labels: LabelMap,
) -> tuple[list[str], str]:
    """Write one object a time point: such objects place segments in space, not in time."""
    if not target.grid.files:
        why = f": {target.grid.why}" if target.grid.why else ""
        raise ExportError(f"{form} needs a DICOM source{why}")
    if labels.voxels.dtype not in ("uint8", "uint16"):
        raise ExportError(
            "its values exceed 65535, the most segments of an object; export it as nifti"
        )
    names, empty = [], 0
    times = len(target.grid.files)
    for t, files in enumerate(target.grid.files):
        size = (
            len(files) * int(np.prod(files[0].plane.shape)) * np.dtype(labels.voxels.dtype).itemsize
        )
        if size > MOST_BYTES:
            raise ExportError(
                f"the mask takes {size >> 20} MiB, at most {MOST_BYTES >> 20} go into one object; "
                "export it as nifti"
            )
        mask = SliceMask(
            read_slices(files),
            on_slices(labels, t, files),
            labels.segments,
            target.label,
            __version__,
        )
        name = target.stored.file(target.label, ".dcm" if times == 1 else f"_t{t}.dcm")
        if times > 1 and not mask.pixels.any():
            empty += 1
            continue
        _keep_others(target.storage, name, modality)
        write(target.storage, name, mask)
        names.append(name)
    if not names:
        raise ExportError("the mask is empty at every time point")
    return names, f"{empty} time points without a segment are left out" if empty else ""


def _keep_others(storage: Storage, name: str, modality: str) -> None:
    """Refuse to replace an object of another kind."""
    try:
        head = pydicom.dcmread(
            io.BytesIO(storage.read_bytes(name)),
            specific_tags=["Modality"],
            stop_before_pixels=True,
        )
    except (FileNotFoundError, pydicom.errors.InvalidDicomError):
        return
    if str(head.get("Modality", "")) != modality:
        raise ExportError(
            f"{storage.uri(name)} is there already and is {head.get('Modality', 'another object')}; give "
            "each format a folder of its own"
        )


_Writer = Callable[[_Target, LabelMap], tuple[list[str], str]]

MASK_FORMATS: dict[str, _Writer] = {
    "nifti": _write_nifti,
    "nrrd": _write_nrrd,
    "dicom-seg": partial(_write_dicom, "dicom-seg", "SEG", write_seg),
    "rtstruct": partial(_write_dicom, "rtstruct", "RTSTRUCT", write_rtstruct),
}
"""Formats of one file a scan and mask; each writes it and returns its names and a note."""

# Every class of every pixel makes hundreds of thousands of contours: only where they are asked for.
_BY_ITSELF = {"rtstruct": ("student", "lesions")}


def check_form(form: str) -> None:
    """Refuse what cannot be written here, before anything is.

    Raises:
        ConfigError: the format is unknown, or its package is not installed.
    """
    check_word("--format", form, MASK_FORMATS)
    if form == "dicom-seg":
        require_highdicom()


def write_mask(
    stored: StoredScan, label: str, form: str, storage: Storage, grid: SourceGrid
) -> tuple[list[str], str]:
    """Write one mask (som, student or lesions) of a scan in a form of `MASK_FORMATS`, on its source's grid.

    Returns:
        Places of the files, and a note, "" where there is none.

    Raises:
        ExportError: it cannot be written in that format; why.
        StoreError: storage failed.
    """
    target = _Target(storage, stored, label, grid)
    names, note = MASK_FORMATS[form](target, labels_of(stored, label))
    return [storage.uri(name) for name in names], note


def export_masks(location: str, request: ExportRequest) -> dict[str, Any]:  # Any: JSON
    """Write the masks that are asked for; see `export_run`.

    Raises:
        ConfigError: unknown protocol, scan, label or channel, or a package is not installed.
        StoreError: the run cannot be read or the folder not be written.
    """
    check_form(request.form)
    run = open_run(location)
    scans, left_out = chosen_scans(run, request)
    channels = _channels(run, request, scans)
    storage = Storage.at(request.out)
    files: list[str] = []
    notes: list[dict[str, Any]] = []
    for stored in scans:
        grid = source_grid(stored, channels[stored.scan.protocol])
        for label in _labels(run, request, stored):
            try:
                written, note = write_mask(stored, label, request.form, storage, grid)
            except (ExportError, DataError) as error:
                left_out.append(told(stored.scan, label, reason=str(error)))
                continue
            files += written
            notes += [told(stored.scan, label, note=note)] if note else []
    return {"format": request.form, "files": files, "left_out": left_out, "notes": notes}


def _labels(run: StoredRun, request: ExportRequest, stored: StoredScan) -> Iterator[str]:
    """Give the masks that are asked for; by themselves those that the protocol makes."""
    if request.labels:
        yield from (label for label in LABELS if label in request.labels)
        return
    segment = run.config.protocols[stored.scan.protocol].segment
    for label in _BY_ITSELF.get(request.form, LABELS):
        if label != "student" or segment == "student":
            yield label


def _channels(run: StoredRun, request: ExportRequest, scans: list[StoredScan]) -> dict[str, int]:
    """Return, for each protocol, the index of the channel whose source's grid is used."""
    found = {}
    for protocol in {stored.scan.protocol for stored in scans}:
        known, channel = run.config.protocols[protocol].channels, request.channel
        if channel is not None:
            check_word("--channel", channel, known, f"protocol {protocol!r} has")
        found[protocol] = 0 if channel is None else known.index(channel)
    return found
