"""What must be said wherever lesions come from masks that somray did not draw."""

from collections.abc import Mapping
from typing import Any

from somray.report.drawing.blocks import Notice

__all__ = ["foreign_notice"]


def foreign_notice(measured: Mapping[str, Any]) -> Notice | None:  # Any: JSON
    """Say whose the masks are.

    Args:
        measured: what run.json says under that name.

    Returns:
        None for a run that segmented by itself.
    """
    if not measured:
        return None
    counted = {
        "connected parts": "What is connected is one lesion.",
        "instances": "Each label of a mask is one lesion.",
    }[measured["as"]]
    labels = measured["labels"]
    chosen = f" Labels that count: {', '.join(map(str, labels))}." if labels else ""
    return Notice(
        f"Every lesion and every figure of lesions here comes from these masks, which somray did not draw. {counted}"
        f"{chosen} Images and their registration are those of an earlier run, whose teacher, map and student have no "
        "part in this.",
        "warn",
        f"Masks from outside: {measured['source']}.",
    )
