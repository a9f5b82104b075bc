"""Fiji and ImageJ: hyperstacks (.tif) with calibration, windows and colours, and a macro that lays masks over images.

Up to 4 GiB a file is ImageJ's own kind of TIFF, which every ImageJ opens; above, an OME-TIFF that Fiji's Bio-Formats
reads slice by slice.
"""

import json

from somray.commands.export.scans import labels_of
from somray.commands.view.programs import ViewerFiles
from somray.commands.view.subject import ShownScan, ShownSubject
from somray.commands.view.viewers.tiff import (
    MOST_IMAGEJ_BYTES,
    bytes_of_stack,
    write_image,
    write_mask,
)
from somray.commands.view.volumes import file_name
from somray.io.storage import Storage
from somray.io.writers.voxels import LabelMap

__all__ = ["macro_of", "prepare"]

MACRO = "view.ijm"
OPACITY = 40  # per cent, of a mask over its image
MOST_OVERLAID = 2000  # slices with a mask of their own drawn over them, each a picture in memory


def prepare(subject: ShownSubject, folder: Storage) -> ViewerFiles:
    """Write what Fiji takes.

    Raises:
        StoreError: it cannot be written.
    """
    made, lines = ViewerFiles(), []
    for scan in subject.scans:
        image = file_name(scan, "image", ".tif")
        write_image(scan, folder, image)
        made.files.append(image)
        lines.append(_opened(folder, image, is_large=bytes_of_stack(scan) > MOST_IMAGEJ_BYTES))
        for label in scan.labels:
            name, mask = file_name(scan, label.name, ".tif"), labels_of(scan.stored, label.name)
            write_mask(scan, mask, folder, name)
            made.files.append(name)
            if max((one.value for one in mask.segments), default=0) > 255:
                made.notes.append(f"{name}: values above 255 are not told apart by colour")
            shown = [_opened(folder, name), *_colors(mask)]
            # One mask is seen at once; the others are a mark away.
            lines += shown if label.is_first else [f"// {line}" for line in shown]
            if label.is_first:
                lines += _overlaid(scan, image, name)
    folder.write_text(MACRO, macro_of(subject, lines))
    made.files.append(MACRO)
    made.arguments.append(["-macro", folder.uri(MACRO)])
    return made


def macro_of(subject: ShownSubject, lines: list[str]) -> str:
    """Return the macro."""
    head = f"// somray: {subject.subject}. Fiji, Plugins > Macros > Run..."
    return "\n".join([head, *lines, 'run("Tile");', ""])


def _opened(folder: Storage, name: str, *, is_large: bool = False) -> str:
    if is_large:
        asked = f"open=[{folder.uri(name)}] color_mode=Default view=Hyperstack stack_order=XYCZT use_virtual_stack"
        return f'run("Bio-Formats Importer", {json.dumps(asked)}); rename({json.dumps(name)});'
    return f"open({json.dumps(folder.uri(name), ensure_ascii=False)});"


def _colors(mask: LabelMap) -> list[str]:
    """Give the mask in front the colours of its values: ImageJ takes no table of a file without channels."""
    parts = [f"{part}[{one.value}] = {one.color[n]};" for one in mask.segments if one.value < 256
             for n, part in enumerate(("r", "g", "b"))]  # fmt: skip
    return [
        "r = newArray(256); g = newArray(256); b = newArray(256);",
        " ".join(parts),
        "setMinAndMax(0, 255); setLut(r, g, b);",
    ]


def _overlaid(scan: ShownScan, image: str, mask: str) -> list[str]:
    """Draw a mask over each slice of its image: ImageJ overlays pictures, not stacks."""
    times, _, depth = scan.meta.shape[:3]
    if times * depth > MOST_OVERLAID:
        return [f"// {mask} has too many slices to be drawn over its image; Window > Synchronize"]
    added = f"image=[{mask}] x=0 y=0 opacity={OPACITY} zero"
    return [
        "setBatchMode(true);",
        f"for (t = 1; t <= {times}; t++) for (z = 1; z <= {depth}; z++) {{",
        f"  selectImage({json.dumps(mask)}); Stack.setPosition(1, z, t);",
        f"  selectImage({json.dumps(image)}); Stack.setPosition(1, z, t);",
        f'  run("Add Image...", {json.dumps(added)});',
        "  Overlay.setPosition(0, z, t);",
        "}",
        f"selectImage({json.dumps(image)}); Stack.setPosition(1, {(depth + 1) // 2}, 1);",
        'setBatchMode("exit and display");',
    ]
