"""Units of direct transfer where slices are cut into tiles: what comes before the first and after the last."""

from collections.abc import Sequence

from somray.domain.brick import Brick
from somray.domain.work import Needs, Unit
from somray.io.ledger import Entry
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.record import Record
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import SLICE_PIXELS, ScanState, brick_name
from somray.stages.segment.labels import LabelItem
from somray.stages.segment.rows import CountedItem, close_counted
from somray.stages.segment.scales import ScaleItem, Scales, needs_scales, run_scales

__all__ = ["close_tiles", "scales_of", "scales_unit"]

SHARE_OF_SCALES = 0.3  # of the time that labelling takes


def scales_unit(units: Units, state: ScanState, slab: Brick, model_digest: str) -> Unit:
    """Measure the slices of one slab."""
    item = ScaleItem(state.place, slab.t, slab.z0, slab.z1, state.level)
    return units.unit(
        "som",
        f"{state.name}+som+scales+{brick_name(slab)}",
        item,
        needs_scales(state.tile_bytes),
        [state.source_digest, model_digest],
        of=state.scan,
        work=SHARE_OF_SCALES * slab.voxels / SLICE_PIXELS * state.shape[1],
    )


async def scales_of(
    record: Record, units: Units, state: ScanState, model: tuple[str, object]
) -> Scales | None:
    """Measure the slices of a scan that is cut into tiles, by t and z.

    `model` is the teacher's digest, and the teacher as the executor shares it. Nothing for a scan that is not cut;
    None if a slice could not be measured.
    """
    slabs = state.slabs() if state.is_cut else []
    digest, shared = model
    jobs = [scales_unit(units, state, slab, digest) for slab in slabs]
    entries = await gather_or_cancel(*(record.do(run_scales, job, shared=shared) for job in jobs))
    if not all(entry.ok for entry in entries):
        return None
    return {
        (slab.t, slab.z0 + n): scale
        for slab, entry in zip(slabs, entries, strict=True)
        for n, scale in enumerate(entry.value["scales"])
    }


async def close_tiles(
    record: Record,
    units: Units,
    state: ScanState,
    label: tuple[LabelItem, int, str],
    entries: Sequence[Entry],
) -> Entry:
    """Close the labels of a scan that is cut into tiles, with the rows of its slices.

    `label` is its group, the target's value in it, and the digest of what made it; `entries` are its bricks'.
    """
    group, target, digest = label
    counts = tuple(count for entry in entries for count in entry.value["counts"])
    item = CountedItem(group, target, counts)
    needs, inputs = Needs(cpus=0.1), (state.source_digest, digest)
    name = f"{state.name}+{group.label}"
    unit = units.unit("close", name, item, needs, inputs, of=state.scan)
    return await record.do(close_counted, unit)
