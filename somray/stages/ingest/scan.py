"""A scan taken in by one unit, or opened for several."""

import contextlib
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from somray.domain.channel import channels_of
from somray.domain.tables import NoteRow, ScanRow
from somray.domain.work import Needs, Result
from somray.io.ome.image import ScanMeta, create_scan, finish_scan, link_again, write_brick
from somray.io.ome.marks import group_attributes, linked
from somray.io.readers import Source
from somray.io.storage import Storage
from somray.kernels.features.gain import tissue_level
from somray.kernels.features.uptake_level import has_level, subject_level
from somray.stages.ingest.bricks import stream
from somray.stages.ingest.item import (
    IngestItem,
    bytes_held,
    bytes_of_slices,
    meta_of,
    parts_of,
    stored_of,
)
from somray.stages.ingest.tally import Tally, doubts, judge

__all__ = ["copied", "look", "needs", "probe", "run", "told"]


def needs() -> Needs:
    """Declare what a unit takes that does not know its scan yet: bricks of the largest size.

    Slices that are decoded whole and are too large for this are left to units that know their size.
    """
    return Needs(cpus=1, memory_bytes=bytes_held())


def probe(item: IngestItem) -> dict[str, Any]:
    """Read headers, and so little of the pixels as tells whether they can be decoded.

    Returns:
        As `run` tells of a scan that is only opened, without `parts` where one unit takes it in; `in_place` says
        whether it is to stay where it lies, `notes` what people should know.

    Raises:
        DataError: what headers can tell, and a missing codec or a file cut short.
    """
    with contextlib.ExitStack() as opened:
        sources = item.opened(opened)
        meta = meta_of(item, sources)
        for source in sources:
            if not bytes_of_slices(meta, sources):
                source.verify()
        in_place = bool(stored_of(item, meta, sources))
        facts = {**item.facts(meta), **_shared(item, meta, sources), "in_place": in_place}
        return {**facts, "notes": [row.note for row in _notes(item, sources)]}


def run(item: IngestItem, shared: object = None) -> Result:
    """Ingest one scan, or open it for units that fill it (`IngestItem.in_parts`).

    Returns:
        Its row of `scans`, and rows of `notes`; value: shape, pixel_digest (of the values alone), source_digest
        (with grid and unit), uptake_level (of PET, or of tissue on MR of an open window; else None), spacing_mm,
        unit, windows, repairs and recipe. Of a scan that is only opened no row of `scans` and no digests, but `parts`:
        first and last brick (excluded) of each unit, `bytes` that each holds, how many of them whole slices take
        (`slices`), and whether its image stays where it lies (`in_place`).

    Raises:
        DataError: the scan cannot be used; its code says why.
    """
    storage = Storage.at(item.root)
    with contextlib.ExitStack() as opened:
        sources = item.opened(opened)
        meta = meta_of(item, sources)
        parts = _shared(item, meta, sources) if item.in_parts else {}
        stored, notes = stored_of(item, meta, sources), _notes(item, sources)
        create_scan(storage, item.name, meta, stored)
        if parts:
            return Result(rows={"notes": notes}, value={**item.facts(meta), **parts})
        try:
            write = functools.partial(write_brick, storage, item.name, first=int(bool(stored)))
            tally = stream(item, sources, meta, meta.bricks(), write)
            if stored and tally.repaired:
                tally = copied(item, meta, sources)
            judge(item, tally)
        except BaseException:
            storage.remove(item.name)
            raise
    meta, result = told(item, meta, tally, notes)
    finish_scan(storage, item.name, meta)
    return result


def _notes(item: IngestItem, sources: Sequence[Source]) -> list[NoteRow]:
    """Tell what sources promise and lack."""
    place = item.scan.subject, item.scan.session
    found = ((source.path, source.absent()) for source in sources)
    return [NoteRow(*place, "ingest", f"{path}: {lack}") for path, lack in found if lack]


def copied(item: IngestItem, meta: ScanMeta, sources: Sequence[Source]) -> Tally:
    """Copy a scan that was to stay where it lies, but holds voxels that must be repaired."""
    storage = Storage.at(item.root)
    create_scan(storage, item.name, meta)
    write = functools.partial(write_brick, storage, item.name)
    return stream(item, sources, meta, meta.bricks(), write)


def look(item: IngestItem, shared: object = None) -> Result:
    """Read one scan as `run` does and tell the same of it, but write no pixel.

    An image that lies in its source is led to where the source lies now, if it holds the same voxels. Nothing is told
    where that is no longer a place for it.

    Raises:
        DataError: as `run`.
    """
    with contextlib.ExitStack() as opened:
        sources = item.opened(opened)
        meta = meta_of(item, sources)
        notes = _notes(item, sources)
        if item.in_parts and (parts := _shared(item, meta, sources)):
            return Result(rows={"notes": notes}, value={**item.facts(meta), **parts})
        tally = stream(item, sources, meta, meta.bricks(), lambda brick, block: None)
        judge(item, tally)
        found = told(item, meta, tally, notes)[1]
        return found if _is_led(item, meta, sources, found.value["source_digest"]) else Result()


def _is_led(item: IngestItem, meta: ScanMeta, sources: Sequence[Source], digest: str) -> bool:
    """Lead an image that lies in its source to it, if it is the same; tell whether it has a place."""
    storage = Storage.at(item.root)
    if not linked(storage, item.name):
        return True
    stored = stored_of(item, meta, sources)
    own = (group_attributes(storage, item.name) or {})["somray"]
    if stored and own.get("source_digest") == digest:
        link_again(storage, item.name, meta, stored)
    return bool(stored)


def _shared(item: IngestItem, meta: ScanMeta, sources: Sequence[Source]) -> dict[str, Any]:
    parts = parts_of(meta, sources)
    if not parts:
        return {}
    slices = bytes_of_slices(meta, sources)
    held = bytes_held(meta, slices)
    shared = {"parts": [list(part) for part in parts], "bytes": held, "slices": slices}
    return {**shared, "in_place": True} if stored_of(item, meta, sources) else shared


def told(
    item: IngestItem, meta: ScanMeta, tally: Tally, notes: Sequence[NoteRow] = ()
) -> tuple[ScanMeta, Result]:
    """Complete what a scan says of itself, and make its row and facts."""
    found = f"{meta.shape} {' '.join(tally.pixels)}"
    pixels = hashlib.sha256(found.encode()).hexdigest()[:32]
    identity = f"{pixels} {meta.geometry.affine} {meta.unit}"
    source = hashlib.sha256(identity.encode()).hexdigest()[:32]
    repairs = (*meta.repairs, *sorted(tally.repaired))
    whole = replace(meta, source_digest=source, repairs=repairs)
    spacing = meta.geometry.spacing_mm
    row = ScanRow(
        subject=item.scan.subject,
        session=item.scan.session,
        path=item.scan.path,
        shape_t=meta.shape[0],
        shape_c=meta.shape[1],
        shape_z=meta.shape[2],
        shape_y=meta.shape[3],
        shape_x=meta.shape[4],
        spacing_z_mm=spacing[0],
        spacing_y_mm=spacing[1],
        spacing_x_mm=spacing[2],
        modality=item.modality,
        unit=meta.unit,
        days=item.scan.days,
        repairs=",".join(repairs) or None,
        status="done",
    )
    level = None
    if tally.uptake is not None:
        has_uptake = has_level(channels_of(item.modality, item.channels))
        level = (
            subject_level(tally.uptake, item.modality) if has_uptake else tissue_level(tally.uptake)
        )
    value = {
        **item.facts(whole),
        "pixel_digest": pixels,
        "source_digest": source,
        "uptake_level": level,
    }
    place = item.scan.subject, item.scan.session
    noted = [*notes, *(NoteRow(*place, "ingest", doubt) for doubt in doubts(item, tally))]
    return whole, Result(rows={"scans": [row], "notes": noted}, value=value)
