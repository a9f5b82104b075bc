"""Units of a scan's chain along z, and of what registration leaves once the masks exist."""

from collections.abc import Sequence
from dataclasses import dataclass

from somray.domain.brick import Brick
from somray.domain.run import RunLayout
from somray.domain.work import Unit, digest_of
from somray.io.ledger import Entry
from somray.pipeline.digests import code_digest
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState, brick_name
from somray.stages.registration import align_slices, register, residuals

__all__ = [
    "RegisteredSlab",
    "session_residuals",
    "slice_chain",
    "slice_pairs",
    "slice_residuals",
]


@dataclass(frozen=True)
class RegisteredSlab:
    """A slab of a scan and how the registration of its pairs ended."""

    slab: Brick
    entry: Entry


def slice_pairs(units: Units, state: ScanState, where: Brick) -> Unit:
    """Register the neighbouring slices that begin in one slab."""
    settings = units.config.registration
    choices = settings.detector, settings.model, settings.robust
    name = f"{state.name}+slices+{brick_name(where)}"
    digest = digest_of(name, code_digest("register"), state.source_digest, choices)
    kept = f"{RunLayout.pairs(state.name, where.t)}/z{where.z0:05d}.json"
    item = register.SlicePairsItem(state.place, where.t, where.z0, where.z1, *choices, kept, digest)
    plane = register.plane_bytes(state.shape, settings.model)
    needs = register.needs_slices(plane, settings.model)
    work = state.slices(where.z1 - where.z0)
    return units.unit("register", name, item, needs, [digest], of=state.scan, work=work)


def slice_chain(
    units: Units, state: ScanState, t: int, registered: Sequence[RegisteredSlab]
) -> Unit:
    """Compose the pairs of one scan and time along z."""
    mine = [one.entry for one in registered if one.slab.t == t]
    rows = {row["fixed_z"]: row for entry in mine for row in entry.rows.get("registration", ())}
    found = tuple(rows.get(z) for z in range(state.shape[2] - 1))  # a failed unit leaves no rows
    bridges = tuple(
        (z, None if matrix is None else tuple(matrix))
        for entry in mine
        for z, matrix in entry.value.get("bridges", ())
    )
    rigid = units.config.registration.model == "auto"
    item = align_slices.AlignSlicesItem(state.place, t, found, bridges, rigid)
    inputs = [state.source_digest, found, bridges, rigid]
    name, needs = f"{state.name}+chain+t{t}", align_slices.NEEDS
    return units.unit("register", name, item, needs, [inputs], of=state.scan)


def slice_residuals(
    units: Units,
    state: ScanState,
    registered: RegisteredSlab,
    masks: residuals.Masks,
    model: str,
) -> Unit:
    """Compare the slices of one slab's pairs inside the target and outside."""
    slab, entry = registered.slab, registered.entry
    rows = tuple(entry.rows.get("registration", ()))
    item = residuals.SliceResidualItem(state.place, slab.t, rows, masks)
    name = f"{state.name}+slices+{brick_name(slab)}"
    needs = residuals.needs_slices(residuals.plane_bytes(state.shape))
    work = state.slices(slab.z1 - slab.z0)
    inputs = [state.source_digest, rows, masks, model]
    return units.unit("residuals", name, item, needs, inputs, of=state.scan, work=work)


def session_residuals(
    units: Units,
    pair: tuple[ScanState, ScanState],
    matrix: tuple[float, ...] | None,
    masks: residuals.Masks,
    model: str,
) -> Unit:
    """Compare two sessions inside the target and outside; `matrix` takes the later to the earlier."""
    fixed, moving = pair
    item = residuals.SessionResidualItem(fixed.place, moving.place, matrix, masks)
    name = f"{moving.name}+sessions+{fixed.scan.session}"
    planes = [residuals.plane_bytes(state.shape) for state in pair]
    needs = residuals.needs_sessions(max(planes))
    inputs = [fixed.source_digest, moving.source_digest, matrix, masks, model]
    work = fixed.slices(fixed.shape[2])
    return units.unit("residuals", name, item, needs, [inputs], of=moving.scan, work=work)
