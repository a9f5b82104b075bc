"""What a change of burden is called, by thresholds that are told.

RECIST-like, for CT and MR: by the sum of the targets' longest diameters. Progression is judged against the
smallest sum so far, response against the first; a new lesion is progression, and only a session without
any lesion is a complete response. Not judged: lymph nodes' short axes, progression of what is no target.

PERCIST-like, for PET: by SUVpeak of the hottest lesion, whichever it is, against the first session. Body
weight takes the place of lean mass, and the liver is not asked whether uptake is high enough to measure.

Sources: Eisenhauer et al., "New response evaluation criteria in solid tumours: revised RECIST guideline
(version 1.1)", Eur J Cancer 45, 2009; Wahl, Jacene, Kasamon, Lodge, "From RECIST to PERCIST", J Nucl Med
50 Suppl 1, 2009.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from somray.errors import ShapeError

__all__ = ["Response", "ResponseThresholds", "metabolic_response", "size_response"]

_ROUNDING = 1e-9  # sums of floats: their last digits decide nothing


@dataclass(frozen=True)
class ResponseThresholds:
    """What counts as response and as progression.

    Args:
        target_mm: least axial diameter of a target at the first session.
        shrink_fraction: of the targets' sum, for a partial response …
        growth_fraction: … and for progression, …
        growth_floor_mm: … which must also reach this.
        uptake_fraction: of SUVpeak, either way, …
        uptake_floor_suv: … which must also reach this.

    Raises:
        ShapeError: if one is negative.
    """

    target_mm: float = 10.0
    shrink_fraction: float = 0.3
    growth_fraction: float = 0.2
    growth_floor_mm: float = 5.0
    uptake_fraction: float = 0.3
    uptake_floor_suv: float = 0.8

    def __post_init__(self) -> None:
        """Refuse thresholds below zero."""
        values = (
            self.target_mm, self.shrink_fraction, self.growth_fraction, self.growth_floor_mm,
            self.uptake_fraction, self.uptake_floor_suv,
        )  # fmt: skip
        if min(values) < 0:
            raise ShapeError(f"response thresholds must not be negative: {self}")


@dataclass(frozen=True)
class Response:
    """A response with its reason; `name` is None and `doubt` a code where there is none."""

    name: str | None
    reason: str | None = None
    doubt: str | None = None


def size_response(
    sums_mm: Sequence[float | None],
    new: Sequence[int],
    lesions: int,
    thresholds: ResponseThresholds,
) -> Response:
    """Call the last of some sessions CR, PR, SD or PD.

    Args:
        sums_mm: the targets' sums, the first session's first; None where unknown.
        new: lesion_ids that are there and were not at the first session.
        lesions: number of lesions that are there.
        thresholds: what counts.
    """
    if new:
        return Response("PD", _told_new(new))
    first, last = sums_mm[0], sums_mm[-1]
    if first is None or last is None:
        return Response(None, doubt="no_target")
    nadir = min(s for s in sums_mm[:-1] if s is not None)
    growth = last - nadir
    least = max(thresholds.growth_floor_mm, thresholds.growth_fraction * nadir)
    if growth > 0 and growth >= least * (1.0 - _ROUNDING):
        return Response(
            "PD", f"targets grew from {nadir:.1f} to {last:.1f} mm, by {least:.1f} mm or more"
        )
    if not lesions:
        return Response("CR", "no lesion is left")
    told = f"targets {last:.1f} mm against {first:.1f} mm at first, {nadir:.1f} mm at least"
    if last <= (1.0 - thresholds.shrink_fraction) * first * (1.0 + _ROUNDING):
        return Response("PR", f"{told}: shrunk by {thresholds.shrink_fraction:.0%} or more")
    return Response("SD", told)


def metabolic_response(
    first: float | None,
    last: float | None,
    new: Sequence[int],
    lesions: int,
    thresholds: ResponseThresholds,
) -> Response:
    """Call a session CMR, PMR, SMD or PMD by SUVpeak of the hottest lesion, then and now.

    Args:
        first: SUVpeak at the first session; None where none is known.
        last: SUVpeak now.
        new: lesion_ids that are there and were not at the first session.
        lesions: number of lesions that are there.
        thresholds: what counts.
    """
    if new:
        return Response("PMD", _told_new(new))
    if first is None:
        return Response(None, doubt="no_peak")
    if not lesions:
        return Response("CMR", "no lesion is left")
    if last is None:
        return Response(None, doubt="no_peak")
    change = last - first
    least = max(thresholds.uptake_floor_suv, thresholds.uptake_fraction * first)
    told = f"SUVpeak {last:.2f} against {first:.2f} at first"
    if abs(change) >= least * (1.0 - _ROUNDING) and change != 0:
        name = "PMD" if change > 0 else "PMR"
        return Response(name, f"{told}: by {least:.2f} or more")
    return Response("SMD", told)


def _told_new(new: Sequence[int]) -> str:
    numbers = ", ".join(str(n) for n in new)
    return f"new: lesion {numbers}" if len(new) == 1 else f"new: lesions {numbers}"
