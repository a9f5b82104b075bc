"""How much disease each session of a subject shows, and what to call the change since the first.

The first session is the baseline. Sums of axes, volumes and TLG need no identities and are compared for
every session; targets and new lesions do, so there is no response where a session was not registered or a
lesion that matters is in doubt.

Dmax is taken between voxels, of one lesion or of two, so that it does not hang on where lesions were
parted (Cottereau et al., "18F-FDG PET dissemination features in diffuse large B-cell lymphoma are
predictive of outcome", J Nucl Med 61, 2020, take it between lesions' centres). Responses: `response`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from somray.errors import ShapeError
from somray.kernels.evolution.changes import LesionChange
from somray.kernels.evolution.lineage import Lineage
from somray.kernels.evolution.response import (
    Response,
    ResponseThresholds,
    metabolic_response,
    size_response,
)

__all__ = ["MOST_TARGETS", "Burden", "LesionSize", "SessionLoad", "burden_at", "burdens"]

MOST_TARGETS = 5
"""RECIST 1.1; it also allows no more than two per organ, which is not known here."""


@dataclass(frozen=True)
class LesionSize:
    """What burden needs of one lesion; None where a figure does not exist."""

    lesion_id: int
    volume_mm3: float
    longest_axis_mm: float
    axial_axis_mm: float
    suv_max: float | None = None
    suv_peak: float | None = None
    tlg_ml: float | None = None


@dataclass(frozen=True)
class SessionLoad:
    """One session (or one later time point of it).

    Args:
        session: its name.
        lesions: those that are there.
        rule: size (RECIST-like), uptake (PERCIST-like), or no_suv or material, where none applies.
        furthest_mm: largest distance between two lesion voxels; None without lesions.
        registered: whether it was registered to the first session.
        has_tlg: whether glycolysis was measured; with the rule `uptake` it always is.
        follows_missing: whether a session before it could not be used, so that it is no baseline.
    """

    session: str
    lesions: tuple[LesionSize, ...]
    rule: str
    furthest_mm: float | None = None
    registered: bool = True
    has_tlg: bool = False
    follows_missing: bool = False

    def __post_init__(self) -> None:
        """Refuse a rule that nobody knows.

        Raises:
            ShapeError: if `rule` is not one of the four.
        """
        if self.rule not in ("size", "uptake", "no_suv", "material"):
            raise ShapeError(f"rule must be size, uptake, no_suv or material, got {self.rule!r}")

    @property
    def ids(self) -> list[int]:
        """The lesion_ids that are there."""
        return [lesion.lesion_id for lesion in self.lesions]

    @property
    def suv_peak(self) -> float | None:
        """Highest SUVpeak; None where the hottest lesion has none, or there is no lesion."""
        known = [lesion.suv_peak for lesion in self.lesions if lesion.suv_peak is not None]
        lost = [le.suv_max for le in self.lesions if le.suv_peak is None and le.suv_max is not None]
        highest = max(known, default=None)
        return None if highest is None or max(lost, default=0.0) > highest else highest


@dataclass(frozen=True)
class Burden:
    """One session's burden; fields are those of the table `burden`."""

    lesions: int
    volume_mm3: float
    tlg: float | None
    dmax_mm: float | None
    axes_mm: float
    suv_peak: float | None
    change_from_baseline: float | None = None
    change_from_nadir: float | None = None
    response: str | None = None
    doubt: str | None = None
    reason: str | None = None
    targets: tuple[int, ...] | None = None
    targets_mm: float | None = None
    targets_change_from_baseline: float | None = None
    targets_change_from_nadir: float | None = None
    volume_change_from_baseline: float | None = None
    suv_peak_change_from_baseline: float | None = None


def burden_at(load: SessionLoad) -> Burden:
    """Add up what one session or time point shows by itself."""
    axes = sorted((lesion.longest_axis_mm for lesion in load.lesions), reverse=True)
    uptake = load.rule == "uptake"
    has_tlg = uptake or load.has_tlg
    return Burden(
        lesions=len(load.lesions),
        volume_mm3=float(sum(lesion.volume_mm3 for lesion in load.lesions)),
        tlg=float(sum(lesion.tlg_ml or 0.0 for lesion in load.lesions)) if has_tlg else None,
        dmax_mm=load.furthest_mm,
        axes_mm=float(sum(axes[:MOST_TARGETS])),
        suv_peak=load.suv_peak if uptake else None,
    )


def burdens(
    loads: Sequence[SessionLoad],
    changes: Sequence[LesionChange],
    thresholds: ResponseThresholds,
) -> list[Burden]:
    """Compare all sessions of a subject with the first.

    Args:
        loads: sessions in time order.
        changes: every lesion of every consecutive pair, as `follow` and `doubted` leave them.
        thresholds: what counts as target, response and progression.

    Returns:
        One burden per session.
    """
    if not loads:
        return []
    chosen = _targets(loads[0], thresholds)
    lineage = Lineage(loads[0].ids, chosen)
    alone = [burden_at(load) for load in loads]
    sums: list[float | None] = []
    found = []
    for number, load in enumerate(loads):
        lineage.advance(row for row in changes if row.to_session == load.session)
        doubts = lineage.doubts(load.ids) | (set() if load.registered else {"not_registered"})
        doubts |= {"baseline_missing"} if number and loads[0].follows_missing else set()
        sums.append(_sum(load, lineage.targets) if chosen and not doubts else None)
        told = replace(
            alone[number], targets=tuple(lineage.targets), targets_mm=sums[-1],
        )  # fmt: skip
        if number:
            told = _compared(told, alone[:number], sums)
            if not doubts:
                answer = _response((loads[0], load), sums, lineage, thresholds)
                told = replace(told, response=answer.name, reason=answer.reason)
                doubts = {answer.doubt} if answer.doubt else set()
            told = replace(told, doubt=",".join(sorted(doubts)) or None)
        found.append(told)
    return found


def _targets(first: SessionLoad, thresholds: ResponseThresholds) -> list[int]:
    """Choose the longest lesions that can be measured, the smaller lesion_id where two are as long."""
    least = thresholds.target_mm * (1.0 - 1e-9)
    able = [lesion for lesion in first.lesions if lesion.axial_axis_mm >= max(least, 1e-9)]
    able.sort(key=lambda lesion: (-lesion.axial_axis_mm, lesion.lesion_id))
    return [lesion.lesion_id for lesion in able[:MOST_TARGETS]]


def _sum(load: SessionLoad, targets: Sequence[int]) -> float:
    return float(sum(le.axial_axis_mm for le in load.lesions if le.lesion_id in set(targets)))


def _compared(told: Burden, earlier: Sequence[Burden], sums: Sequence[float | None]) -> Burden:
    """Set a session's figures against the first session's and the smallest so far."""
    first = earlier[0]
    known = [s for s in sums[:-1] if s is not None]
    return replace(
        told,
        change_from_baseline=_change(first.axes_mm, told.axes_mm),
        change_from_nadir=_change(min(b.axes_mm for b in earlier), told.axes_mm),
        targets_change_from_baseline=_change(sums[0], told.targets_mm),
        targets_change_from_nadir=_change(min(known, default=None), told.targets_mm),
        volume_change_from_baseline=_change(first.volume_mm3, told.volume_mm3),
        suv_peak_change_from_baseline=_change(first.suv_peak, told.suv_peak),
    )


def _change(before: float | None, after: float | None) -> float | None:
    """Return (after − before) / before; None where either is unknown or there was nothing."""
    return None if not before or after is None else (after - before) / before


def _response(
    loads: tuple[SessionLoad, SessionLoad],
    sums: Sequence[float | None],
    lineage: Lineage,
    thresholds: ResponseThresholds,
) -> Response:
    """Call the last session by the rule that both sessions allow."""
    first, last = loads
    other = [load.rule for load in loads if load.rule in ("no_suv", "material")]
    if other or first.rule != last.rule:
        return Response(None, doubt=other[0] if other else "no_suv")
    new = lineage.new(last.ids)
    if last.rule == "size":
        return size_response(sums, new, len(last.lesions), thresholds)
    if not first.lesions and not new:
        return Response(None, doubt="no_target")
    return metabolic_response(first.suv_peak, last.suv_peak, new, len(last.lesions), thresholds)
