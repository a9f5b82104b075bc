"""The same class in session after session: does its signature stay what it was on the reference?"""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.lines import Line2D

from somray.report.drawing.style import INK, SERIES, chart, drawing, plain_text, to_svg
from somray.report.figures.classes import CROWDED, Profile, draw_radar_frame

__all__ = ["radar_over_sessions"]

DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (5, 1.5, 1.5, 1.5)))
"""Sessions are told apart without colour too."""


@drawing
def radar_over_sessions(
    reference: Profile | None,
    sessions: Sequence[Profile],
    labels: Sequence[str],
    limit: float,
    name: str,
) -> Markup:
    """Draw one class's profile in each session, and on the reference as a thin dark line.

    Args:
        reference: of the class on the teacher's reference, None where it covered nothing there.
        sessions: of the class in each session, in order of time, named by session.
        labels: features around.
        limit: radius in standard deviations, as `radar_limit` gives it.
        name: unique on the page.
    """
    crowded = len(labels) > CROWDED
    figure, axes = chart(*((4.6, 4.0) if crowded else (3.7, 3.5)), projection="polar")
    angles = np.linspace(0, 2 * np.pi, len(labels), endpoint=False)
    closed = np.append(angles, angles[:1])
    handles: list[Line2D] = []
    for number, profile in enumerate(sessions):
        values = np.clip(np.append(profile.mean, profile.mean[:1]), -limit, limit)
        style = DASHES[number // len(SERIES) % len(DASHES)]
        colour = SERIES[number % len(SERIES)]
        handles += axes.plot(closed, values, color=colour, linestyle=style, linewidth=1.8)
    told = [plain_text(p.name) for p in sessions]
    if reference is not None:
        values = np.clip(np.append(reference.mean, reference.mean[:1]), -limit, limit)
        handles += axes.plot(closed, values, color=INK, linewidth=0.9)
        told.append("reference")
    draw_radar_frame(axes, angles, labels, limit)
    columns = min(4, len(told))
    figure.legend(handles, told, loc="outside lower center", ncols=columns, fontsize=7.6)
    far = _furthest(reference, sessions)
    alt = (
        f"Radar plot of one class in {len(sessions)} sessions: {len(labels)} features around, scale "
        f"−{limit:g} to +{limit:g} standard deviations; {far}."
    )
    return to_svg(figure, alt, name)


def _furthest(reference: Profile | None, sessions: Sequence[Profile]) -> str:
    """Say by how much the sessions differ at most, from the reference or from the first of them."""
    base = reference or sessions[0]
    apart = [np.nanmax(np.abs(p.mean - base.mean)) for p in sessions if np.isfinite(p.mean).any()]
    most = max(apart, default=0.0)
    return (
        f"no feature lies further than {most:.2f} from the {'reference' if reference else 'first'}"
    )
