"""Neuroglancer, in a browser: a state of layers on the run's own pyramids, which a server of this machine hands out.

Source: neuroglancer, "Viewer state" and "Zarr" of its documentation. It ignores what OME-Zarr says of channels,
windows and the colours of labels, so the state says all of it.
"""

import json
import secrets
import socket
from typing import Any
from urllib.parse import quote

import numpy as np

from somray.commands.view.programs import ViewerFiles
from somray.commands.view.scene import to_world, world_axes
from somray.commands.view.subject import ShownChannel, ShownLabel, ShownScan, ShownSubject
from somray.io.ome.metadata import scan_metadata
from somray.io.storage import Storage

__all__ = ["HOST_PAGE", "page_address", "prepare", "segment_names", "state_of"]

HOST_PAGE = "https://neuroglancer-demo.appspot.com"
"""The page that is opened where the Python package with a page of its own is not installed."""

State = dict[str, Any]  # JSON
_MM = [1e-3, "m"]
_COUNT = [1, ""]
_DECIMALS = 9


def prepare(subject: ShownSubject, folder: Storage) -> ViewerFiles:
    """Write the state, with a port that is free now, and the names of the masks' values.

    Raises:
        StoreError: it cannot be written.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/{secrets.token_urlsafe(12)}"
    names = {
        f"{_names(scan, label)}/info": segment_names(label)
        for scan in subject.scans
        for label in scan.labels
    }
    folder.write_text("state.json", json.dumps(state_of(subject, address), indent=1))
    folder.write_text("names.json", json.dumps(names))
    arguments = ["-m", "somray.commands.view.serve", subject.scans[0].stored.root, folder.root]
    return ViewerFiles(["state.json", "names.json"], [arguments])


def _names(scan: ShownScan, label: ShownLabel) -> str:
    """Name the folder, of no disk, that tells neuroglancer what a mask's values are called."""
    return f"names/{scan.stored.file(label.name, '')}"


def state_of(subject: ShownSubject, address: str) -> State:
    """Return neuroglancer's state; the addresses of the run's files begin with `address`."""
    axes = world_axes(subject.scans[0].meta.geometry)
    images: list[State] = []
    masks: list[State] = []  # over all images
    for number, scan in enumerate(subject.scans):
        place = to_world(scan, axes)
        base = f"{address}/{scan.stored.name}"
        for index, channel in enumerate(scan.channels):
            layer = _image(scan, channel, index, f"zarr3://{base}/", place)
            images.append({**layer, "visible": number == 0})
        for label in scan.labels:
            layer = _labels(scan, label, base, place)
            named = f"precomputed://{address}/{_names(scan, label)}"
            layer["source"].append(named)
            masks.append({**layer, "visible": number == 0 and label.is_first})
    first = subject.scans[0]
    middle = to_world(first, axes) @ [*((n - 1) / 2 for n in first.meta.shape[2:]), 1.0]
    has_time = any(scan.meta.shape[0] > 1 for scan in subject.scans)
    return {
        "title": f"somray: {subject.subject}",
        "dimensions": {**({"t": _COUNT} if has_time else {}), **dict.fromkeys("xyz", _MM)},
        "displayDimensions": ["x", "y", "z"],
        "position": [*([0.5] if has_time else []), *(float(n) for n in middle[2::-1])],
        "crossSectionScale": _scale(first),
        "projectionScale": 2.0 * _widest(first),
        "layers": [*images, *masks],
        "layout": "4panel",
        "showSlices": False,
    }


def page_address(page: str, state: State) -> str:
    """Return the address of a page with the state in it."""
    return f"{page}/#!{quote(json.dumps(state, separators=(',', ':')), safe=':/,{}[]')}"


def segment_names(label: ShownLabel) -> State:
    """Return neuroglancer's segment properties: the names of a mask's values."""
    return {
        "@type": "neuroglancer_segment_properties",
        "inline": {
            "ids": [str(one.value) for one in label.segments],
            "properties": [
                {"id": "label", "type": "label", "values": [one.name for one in label.segments]}
            ],
        },
    }


def _widest(scan: ShownScan) -> float:
    """Return the longest edge in mm."""
    sizes = zip(scan.meta.shape[2:], scan.meta.geometry.spacing_mm, strict=True)
    return float(max(size * step for size, step in sizes))


def _scale(scan: ShownScan) -> float:
    """Return mm a pixel of the screen at which a scan fills a panel of 400."""
    return _widest(scan) / 400


def _source(scan: ShownScan, url: str, place: np.ndarray, *, with_channel: bool) -> State:
    """Say where a pyramid lies.

    Neuroglancer already puts it where OME-Zarr's scale and translation say, in mm; `matrix` takes it from there to
    the world, which is a rotation and a shift at most where registration found no more.
    """
    scale, shift = scan_metadata(scan.meta)["multiscales"][0]["datasets"][0][
        "coordinateTransformations"
    ]
    told = np.diag([*scale["scale"][2:], 1.0])
    told[:3, 3] = shift["translation"][2:]
    lead = 2 if with_channel else 1
    matrix = np.zeros((lead + 3, lead + 4))
    matrix[:lead, :lead] = np.eye(lead)
    matrix[lead:, lead:] = (place @ np.linalg.inv(told))[:3].round(_DECIMALS)
    dimensions = {
        "t": _COUNT,
        **({"c'": _COUNT} if with_channel else {}),
        "z": _MM,
        "y": _MM,
        "x": _MM,
    }
    return {"url": url, "transform": {"outputDimensions": dimensions, "matrix": matrix.tolist()}}


def _image(
    scan: ShownScan, channel: ShownChannel, index: int, url: str, place: np.ndarray
) -> State:
    color = "vec3(1.0, 1.0, 1.0)" if channel.is_grey else _vector(channel.color)
    shader = f"#uicontrol invlerp window\nvoid main() {{\n  emitRGB({color} * window());\n}}\n"
    return {
        "type": "image",
        "name": f"{scan.session} {channel.name}",
        "source": _source(scan, url, place, with_channel=True),
        "localDimensions": {"c'": _COUNT},
        "localPosition": [index],
        "shader": shader,
        "shaderControls": {"window": {"range": [channel.low, channel.high]}},
        "opacity": 1.0,
        "blend": "default" if index == 0 else "additive",
    }


def _vector(color: str) -> str:
    parts = (int(color[n : n + 2], 16) / 255 for n in (0, 2, 4))
    return f"vec3({', '.join(f'{part:.4f}' for part in parts)})"


def _labels(scan: ShownScan, label: ShownLabel, base: str, place: np.ndarray) -> State:
    seen = [one for one in label.segments if one.is_finding or label.name != "som"]
    url = f"zarr3://{base}/labels/{label.name}/"
    return {
        "type": "segmentation",
        "name": f"{scan.session} {label.name}",
        "source": [_source(scan, url, place, with_channel=False)],
        "segments": [str(one.value) for one in seen],
        "segmentColors": {
            str(one.value): "#{:02x}{:02x}{:02x}".format(*one.color[:3]) for one in label.segments
        },
        "selectedAlpha": 0.5,
        "notSelectedAlpha": 0.0,
    }
