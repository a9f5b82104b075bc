"""Units of the sessions of one subject: pairs of sessions."""

from somray.domain.work import Unit
from somray.pipeline.units import ScanState, Units
from somray.stages import register_sessions

__all__ = ["session_pair"]


def session_pair(units: Units, fixed: ScanState, moving: ScanState) -> Unit:
    """Register two sessions of a subject."""
    settings = units.config.registration
    item = register_sessions.SessionPairItem(
        fixed.place, moving.place, settings.detector, settings.model, units.cohort.seed
    )
    needs = register_sessions.needs_sessions(max(fixed.slab_bytes, moving.slab_bytes))
    return units.unit(
        "register",
        f"{moving.name}+sessions+{fixed.scan.session}",
        item,
        needs,
        [fixed.source_digest, moving.source_digest],
        [settings.detector, settings.model, units.cohort.seed],
    )
