"""Open a subject of a somray run in napari: `python in_napari.py`, with `scene.json` beside it.

Run by the Python that has napari (with zarr 3 and dask); it knows no somray. Pixels are read when they are looked at.
"""

import importlib
import json
from pathlib import Path
from typing import Any

__all__ = ["layers", "main", "shown"]

Scene = dict[str, Any]  # JSON
MOST_SESSIONS_SEEN = 1  # at once: the others lie under it and are switched on


def layers(scene: Scene) -> list[tuple[Any, dict[str, Any], str]]:  # Any: arrays of dask
    """Return (data, arguments, "image" or "labels") of each layer, the lowest first: all masks lie over all images."""
    images: list[tuple[Any, dict[str, Any], str]] = []
    masks: list[tuple[Any, dict[str, Any], str]] = []
    for number, session in enumerate(scene["sessions"]):
        is_seen = number < MOST_SESSIONS_SEEN
        place = _place(session)
        for index, channel in enumerate(session["channels"]):
            arguments = {
                "name": f"{session['session']} {channel['name']}",
                "contrast_limits": [channel["low"], channel["high"]],
                "colormap": _colormap(channel["color"]),
                "blending": "translucent_no_depth" if index == 0 else "additive",
                "visible": is_seen,
                **place,
            }
            images.append((_levels(session, channel["path"], index), arguments, "image"))
        for label in session["labels"]:
            arguments = {
                "name": f"{session['session']} {label['name']}",
                "colormap": _colors(label["classes"]),
                "properties": {
                    "index": [one["value"] for one in label["classes"]],
                    "class": [one["name"] for one in label["classes"]],
                },
                "visible": is_seen and label["visible"],
                "opacity": 0.6,
                **place,
            }
            masks.append((_levels(session, label["path"], None), arguments, "labels"))
    return [*images, *masks]


def _place(session: Scene) -> dict[str, Any]:
    """Say where a layer lies; time, where there is some, comes first and is counted."""
    matrix = session["matrix"]
    if session["times"] == 1:
        return {"affine": matrix, "units": ("mm", "mm", "mm"), "axis_labels": ("z", "y", "x")}
    grown = [[1.0, 0.0, 0.0, 0.0, 0.0], *([0.0, *row] for row in matrix)]
    return {
        "affine": grown, "units": ("pixel", "mm", "mm", "mm"), "axis_labels": ("t", "z", "y", "x")
    }  # fmt: skip


def _levels(session: Scene, path: str, channel: int | None) -> list[Any]:
    """Open a pyramid lazily; time is dropped where there is one point alone."""
    zarr, dask = importlib.import_module("zarr"), importlib.import_module("dask.array")
    group, levels = zarr.open_group(path, mode="r"), []
    for level in range(session["levels"]):
        array = group[str(level)]
        # One piece a slice: a chunk of the file holds no more.
        lazy = dask.from_array(array, chunks=array.chunks)
        lazy = lazy if channel is None else lazy[:, channel]
        levels.append(lazy[0] if session["times"] == 1 else lazy)
    return levels


def _colormap(color: str) -> Any:
    if color == "FFFFFF":
        return "gray"
    colormap = importlib.import_module("napari.utils").Colormap
    ends = [int(color[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    return colormap([[0.0, 0.0, 0.0, 1.0], [*ends, 1.0]], name=f"#{color}")


def _colors(classes: list[Scene]) -> Any:
    """Colour what has a name; napari shows nothing of other values."""
    colormap = importlib.import_module("napari.utils.colormaps").DirectLabelColormap
    nothing = {None: [0.0, 0.0, 0.0, 0.0], 0: [0.0, 0.0, 0.0, 0.0]}
    shown = {one["value"]: [part / 255 for part in one["rgba"]] for one in classes}
    return colormap(color_dict={**nothing, **shown})


def shown(folder: Path) -> Any:  # Any: napari's viewer
    """Make a viewer with the scene of a folder."""
    napari = importlib.import_module("napari")
    scene = json.loads((folder / "scene.json").read_text("utf-8"))
    viewer = napari.Viewer(title=f"somray: {scene['subject']}")
    for data, arguments, kind in layers(scene):
        pixels = {"data": data, "multiscale": True} if len(data) > 1 else {"data": data[0]}
        add = viewer.add_image if kind == "image" else viewer.add_labels
        add(**pixels, **arguments).editable = False
    canvas = getattr(viewer, "canvas", None)  # from 0.9 on
    getattr(canvas, "overlays", viewer).scale_bar.visible = True
    return viewer


def main(folder: Path) -> None:
    """Show the scene of a folder until the window is closed."""
    viewer = shown(folder)
    importlib.import_module("napari").run()
    del viewer  # must live until here


if __name__ == "__main__":
    main(Path(__file__).parent)
