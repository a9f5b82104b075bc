"""Rows of `burden`: what the lesions of each session add up to, and how that changed."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from somray.config import LesionConfig
from somray.domain.tables import BurdenRow, LesionRow, values_for
from somray.io.ome.image import ScanMeta
from somray.kernels.evolution.burden import LesionSize, SessionLoad, burden_at, burdens
from somray.kernels.evolution.changes import LesionChange
from somray.kernels.evolution.response import ResponseThresholds
from somray.stages.evolution.lesion_labels import TimePoint, has_glycolysis
from somray.stages.evolution.lesion_map import SessionScan

__all__ = ["MeasuredSession", "burden_rows"]


@dataclass(frozen=True)
class MeasuredSession:
    """A session's scan with its time points from t 0.

    Args:
        scan: of the session.
        registered: whether it was registered to the first one.
        points: its time points.
        follows_missing: whether a session before it could not be used.
    """

    scan: SessionScan
    registered: bool
    points: Sequence[TimePoint]
    follows_missing: bool = False


def burden_rows(
    sessions: Sequence[MeasuredSession],
    channel: int,
    changes: Sequence[LesionChange],
    config: LesionConfig,
) -> list[BurdenRow]:
    """Add up every time point of a subject; sessions are compared at t 0 alone.

    Args:
        sessions: in time order.
        channel: that the lesions were measured on.
        changes: of the lesions between consecutive sessions, doubts told.
        config: thresholds.
    """
    loads = [[_load(one, channel, point) for point in one.points] for one in sessions]
    thresholds = ResponseThresholds(**config.response.model_dump())
    compared = burdens([times[0] for times in loads], changes, thresholds)
    rows = []
    for one, times, first in zip(sessions, loads, compared, strict=True):
        found = [first, *(burden_at(load) for load in times[1:])]
        place = one.scan.place
        rows += [
            BurdenRow(place.subject, place.session, point.t, **values_for(BurdenRow, told))
            for point, told in zip(one.points, found, strict=True)
        ]
    return rows


def _load(one: MeasuredSession, channel: int, point: TimePoint) -> SessionLoad:
    return SessionLoad(
        session=one.scan.place.session,
        lesions=tuple(_size(row) for row in point.rows),
        rule=_rule(one.scan.meta, channel),
        furthest_mm=point.furthest_mm,
        registered=one.registered,
        has_tlg=has_glycolysis(one.scan.meta, channel),
        follows_missing=one.follows_missing,
    )


def _size(row: LesionRow) -> LesionSize:
    values = {field.name: getattr(row, field.name) for field in fields(LesionSize)}
    return LesionSize(**values)


def _rule(meta: ScanMeta, channel: int) -> str:
    """Tell by which rule a response is judged: a PET by its uptake, anything else by size."""
    if not meta.anatomical:
        return "material"
    unit = meta.unit.split(",")[channel]
    if unit == "SUVbw":
        return "uptake"
    return "no_suv" if unit == "Bq/ml" or meta.channels[channel] == "PET" else "size"
