"""A registration as people see it: verdict, motion in words, and what is left between the slices."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.api.shown.colours import grey, heat
from somray.api.shown.page import block, figure, figures, small, table
from somray.kernels.registration.result import SliceRegistration

__all__ = ["registration_html", "registration_text"]

_FIGURES = ("ncc", "mad")
_MEANING = {"ncc": "correlation", "mad": "mean |difference|"}


def registration_text(found: SliceRegistration) -> str:
    """Return one line: verdict, model, motion, likeness before and after."""
    why = f" ({found.reason})" if found.reason else ""
    if found.matrix is None:
        return f"Registration {found.status}{why}: no matrix"
    parts = [f"Registration {found.status}{why}: {found.model}, {_motion(found.matrix)}"]
    for name in _FIGURES:
        before, after = getattr(found, f"{name}_before"), getattr(found, f"{name}_after")
        if before is not None and after is not None:
            parts.append(f"{_MEANING[name]} {before:.3f} to {after:.3f}")
    if found.inliers is not None and found.matches is not None:
        parts.append(f"{found.inliers} of {found.matches} matches agree")
    return ", ".join(parts)


def _motion(matrix: NDArray[np.float64]) -> str:
    """Say a motion in words: turn, scale, and where the moving slice's corner goes."""
    turn = round(math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])), 2) + 0.0  # no -0.00
    scale = math.sqrt(abs(float(np.linalg.det(matrix[:2, :2]))))
    x, y = (round(float(shift), 2) + 0.0 for shift in matrix[:2, 2])
    return f"turn {turn:.2f}°, scale {scale:.3f}, shift ({x:.2f}, {y:.2f}) px along (x, y)"


def registration_html(
    found: SliceRegistration,
    pair: tuple[NDArray[Any], NDArray[Any]] | None,  # Any: any numbers
    warped: NDArray[np.float32] | None,
) -> str:
    """Return the verdict, pictures of both slices and of moving on fixed's grid, where known, and the matrix."""
    parts = []
    if pair is not None:
        fixed, moving = (np.asarray(plane, dtype=np.float64) for plane in pair)
        parts = _pictures(fixed, moving, warped)
    html = [figures(parts)]
    if found.matrix is not None:
        rows = [[f"{value:.6g}" for value in row] for row in found.matrix]
        html.append(table(["matrix, moving to fixed", "", ""], rows))
    return block(registration_text(found), html)


def _pictures(
    fixed: NDArray[np.float64], moving: NDArray[np.float64], warped: NDArray[np.float32] | None
) -> list[str]:
    """Draw both slices, and |difference| before (where shapes allow) and after."""
    window = _range(fixed)
    parts = [
        figure(grey(np.asarray(small(fixed), np.float64), window), "fixed"),
        figure(grey(np.asarray(small(moving), np.float64), _range(moving)), "moving"),
    ]
    most = max(window[1] - window[0], 1e-12)
    compared = [(moving, "before")] if moving.shape == fixed.shape else []
    if warped is not None:
        compared.append((np.asarray(warped, dtype=np.float64), "after"))
    for plane, when in compared:
        left = np.abs(np.asarray(small(plane - fixed), np.float64)) / most
        parts.append(figure(heat(left), f"|difference| {when}"))
    return parts


def _range(plane: NDArray[np.float64]) -> tuple[float, float]:
    """Return the window that shows a slice: its 1st and 99th percentile."""
    known = plane[np.isfinite(plane)]
    if not known.size:
        return 0.0, 1.0
    low, high = np.percentile(known, (1, 99))
    return float(low), float(max(high, low + 1e-12))
