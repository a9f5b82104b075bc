"""Open a subject of a somray run in 3D Slicer: `Slicer --python-script in_slicer.py`, with `scene.json` beside it.

Run by Slicer's own Python; it knows no somray.
"""

import importlib
import json
from pathlib import Path
from typing import Any

__all__ = ["main", "to_ras"]

Matrix = list[list[float]]
FUSED = 0.5  # opacity of a second channel over the first
_TURNS = (-1.0, -1.0, 1.0, 1.0)  # LPS to RAS


def to_ras(matrix: Matrix) -> Matrix:
    """Return a transform of LPS mm, 4×4, as one of Slicer's RAS mm."""
    return [[_TURNS[r] * v * _TURNS[c] for c, v in enumerate(row)] for r, row in enumerate(matrix)]


def main(folder: Path) -> None:
    """Load the scene of a folder."""
    slicer = importlib.import_module("slicer")
    scene = json.loads((folder / "scene.json").read_text("utf-8"))
    first: list[Any] = []  # nodes of the first session's channels
    for number, session in enumerate(scene["sessions"]):
        over = _transform(slicer, session) if session["to_first"] else None
        for channel in session["channels"]:
            node = _volume(slicer, folder, session, channel, over)
            if number == 0:
                first.append(node)
        for label in session["labels"]:
            node = slicer.util.loadSegmentation(str(folder / label["path"]))
            node.SetName(f"{session['session']} {label['name']}")
            node.CreateDefaultDisplayNodes()
            node.GetDisplayNode().SetVisibility(number == 0 and label["visible"])
            if over is not None:
                node.SetAndObserveTransformNodeID(over)
    slicer.util.setSliceViewerLayers(
        background=first[0],
        foreground=first[1] if first[1:] else None,
        foregroundOpacity=FUSED,
    )
    slicer.util.resetSliceViews()


def _transform(slicer: Any, session: dict[str, Any]) -> str:
    """Make the way to the first session and return the node's number."""
    matrix = importlib.import_module("vtk").vtkMatrix4x4()
    for row, values in enumerate(to_ras(session["to_first"])):
        for column, value in enumerate(values):
            matrix.SetElement(row, column, value)
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLLinearTransformNode", f"{session['session']} to the first"
    )
    node.SetMatrixTransformToParent(matrix)
    return str(node.GetID())


def _volume(
    slicer: Any, folder: Path, session: dict[str, Any], channel: dict[str, Any], over: str | None
) -> Any:
    name = f"{session['session']} {channel['name']}"
    node = slicer.util.loadVolume(str(folder / channel["path"]), {"name": name, "show": False})
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(channel["low"], channel["high"])
    if channel["color"] != "FFFFFF":
        display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeFileInferno.txt")
    if over is not None:
        node.SetAndObserveTransformNodeID(over)
    return node


if __name__ == "__main__":
    main(Path(__file__).parent)
