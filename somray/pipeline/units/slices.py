"""Units of a scan's chain along z, and of what registration leaves once the masks exist."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    missing = (None, "refused", "the pair's slab could not be registered", None, None)
    steps = tuple(
        _step(rows[z]) if z in rows else missing  # a failed unit leaves no rows
        for z in range(state.shape[2] - 1)
    )
    bridges = tuple(
        (z, None if matrix is None else tuple(matrix))
        for entry in mine
        for z, matrix in entry.value.get("bridges", ())
    )
    whole = all(entry.ok for entry in mine)
    item = align_slices.AlignSlicesItem(
        place=state.place,
        t=t,
        steps=steps,
        bridges=bridges,
        rigid=units.config.registration.model == "auto",
        progress=RunLayout.pairs(state.name, t) if whole else None,
    )
    inputs = [state.source_digest, steps, bridges, item.rigid, whole]
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
    pairs = tuple(
        (row["fixed_z"], None if row["matrix"] is None else tuple(row["matrix"]))
        for row in entry.rows.get("registration", ())
    )
    item = residuals.SlicesItem(state.place, t, pairs, masks)
    name = f"{state.name}+slices+t{t}+z{z0:05d}"
    needs = residuals.needs(state.plane_bytes)
    return units.unit("residuals", name, item, needs, state.source_digest, pairs, masks, model)


def session_residuals(
    units: Units,
    pair: tuple[ScanState, ScanState],
    matrix: tuple[float, ...] | None,
    masks: residuals.Masks,
    model: str,
) -> Unit:
    """Compare two sessions inside the target and outside; `matrix` takes the later to the earlier."""
    fixed, moving = pair
    item = residuals.SessionItem(fixed.place, moving.place, matrix, masks)
    name = f"{moving.name}+sessions+{fixed.scan.session}"
    needs = residuals.needs(max(fixed.plane_bytes, moving.plane_bytes))
    inputs = [fixed.source_digest, moving.source_digest, matrix, masks, model]
    return units.unit("residuals", name, item, needs, inputs)


def _step(row: Mapping[str, Any]) -> align_slices.PlainStep:  # Any: JSON
    """Return a plain row of `registration` as a step."""
    matrix = row["matrix"]
    return (
        None if matrix is None else tuple(matrix),
        row["status"], row["reason"], row["ncc_before"], row["ncc_after"],
    )  # fmt: skip
