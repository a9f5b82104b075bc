"""What is said of a map whose neighbouring nodes are not alike."""

from somray.domain.teacher import Codebook
from somray.report.drawing.blocks import Notice

__all__ = ["BADLY_ORDERED", "order_notices"]

BADLY_ORDERED = 0.5
"""Topographic error above which most pixels lie between nodes that the map keeps apart."""


def order_notices(codebook: Codebook) -> tuple[Notice, ...]:
    """Warn of a badly ordered map; nothing is said of one that is ordered, or was not measured."""
    error = codebook.topographic_error
    if error is None or error <= BADLY_ORDERED:
        return ()
    told = (
        f"For {100 * error:.0f} % of the reference's pixels the two nearest nodes are not neighbours on it, so "
        "neighbours need not be alike: read no regions, ridges or basins off the map and its U-matrix. Classes "
        "do not depend on the order: a node is named by its own profile, and a pixel takes the nearest "
        "node wherever that stands."
    )
    return (Notice(told, "warn", "The map is badly ordered."),)
