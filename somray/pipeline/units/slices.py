"""Units of a scan's chain along z, and of what registration leaves once the masks exist."""

from collections.abc import Sequence

from somray.domain.run import RunLayout
from somray.domain.work import Unit, digest_of
from somray.io.ledger import Entry
from somray.pipeline.digests import code_digest
from somray.pipeline.units.protocol import ScanState, Units
from somray.stages.registration import align_slices, register, residuals

__all__ = ["Pairs", "session_residuals", "slice_chain", "slice_pairs", "slice_residuals"]

Pairs = Sequence[tuple[tuple[int, int, int], Entry]]
"""Slabs (t, z0, z1) of a scan and how the registration of their pairs ended."""


def slice_pairs(units: Units, state: ScanState, where: tuple[int, int, int]) -> Unit:
    """Register the neighbouring slices that begin in one slab."""
    t, z0, z1 = where
    settings = units.config.registration
    choices = settings.detector, settings.model, settings.robust
    name = f"{state.name}+slices+t{t}+z{z0:05d}"
    digest = digest_of(name, code_digest(), state.source_digest, choices)
    kept = f"{RunLayout.pairs(state.name, t)}/z{z0:05d}.json"
    item = register.SlicePairsItem(state.place, t, z0, z1, *choices, kept, digest)
    needs = register.needs_slices(state.plane_bytes)
    return units.unit("register", name, item, needs, digest)


def slice_chain(units: Units, state: ScanState, t: int, pairs: Pairs) -> Unit:
    """Compose the pairs of one scan and time along z."""
    mine = [entry for (when, _, _), entry in pairs if when == t]
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
    return units.unit("register", f"{state.name}+chain+t{t}", item, align_slices.NEEDS, inputs)


def slice_residuals(
    units: Units,
    state: ScanState,
    slab: tuple[tuple[int, int, int], Entry],
    masks: residuals.Masks,
    model: str,
) -> Unit:
    """Compare the slices of one slab's pairs inside the target and outside."""
    (t, z0, _), entry = slab
    rows = tuple(entry.rows.get("registration", ()))
    item = residuals.SliceResidualItem(state.place, t, rows, masks)
    name = f"{state.name}+slices+t{t}+z{z0:05d}"
    needs = residuals.needs(state.plane_bytes)
    return units.unit("residuals", name, item, needs, state.source_digest, rows, masks, model)


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
    needs = residuals.needs(max(fixed.plane_bytes, moving.plane_bytes))
    inputs = [fixed.source_digest, moving.source_digest, matrix, masks, model]
    return units.unit("residuals", name, item, needs, inputs)
