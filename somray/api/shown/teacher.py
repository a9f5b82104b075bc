"""A teacher as people see it: its classes, the map of its nodes, the slice it was fitted on."""

from dataclasses import dataclass

import numpy as np

from somray.api.shown.colours import class_colour, coloured, grey
from somray.api.shown.nodes import node_picture
from somray.api.shown.page import block, figure, figures, small, swatch, table
from somray.domain.teacher import TeacherModel
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher.apply import Transfer
from somray.kernels.teacher.spec import TeacherSpec

__all__ = ["TeacherCard"]


@dataclass(frozen=True, eq=False)
class TeacherCard:
    """What is shown of a teacher.

    Args:
        spec: what was asked for.
        transfer: what was fitted, None before.
        slice_: a slice of the fit, None where it is not known.
    """

    spec: TeacherSpec
    transfer: Transfer | None
    slice_: ScanSlices | None

    def text(self) -> str:
        """Return a line, and one more for each class once it is fitted."""
        rows, columns = self.spec.grid
        named = ", ".join(self.spec.channels)
        title = f"Teacher {self.spec.modality} ({named}), {rows} × {columns} nodes"
        if self.transfer is None:
            return f"{title}, not fitted yet: call fit(image)"
        lines = [f"{title}, {_sight(self.transfer.model)}"]
        for value, name in sorted(self.transfer.model.class_names.items()):
            count = int((self.transfer.model.node_classes == value).sum())
            doubt = self.transfer.model.doubtful.get(name)
            why = f", doubtful: {doubt}" if doubt else ""
            lines.append(f"  {value} {name}: {count} node{'' if count == 1 else 's'}{why}")
        return "\n".join(lines)

    def html(self) -> str:
        """Return the slice of the fit, its classes, the map, and a table of classes."""
        title = self.text().split("\n")[0]
        if self.transfer is None:
            return block(title, [])
        model, parts, shares = self.transfer.model, [], dict[int, float]()
        if self.slice_ is not None:
            pictures, shares = _pictures(self.transfer, self.slice_)
            parts += pictures
        colours = coloured(model.node_classes[None], model.class_names)[0]
        nodes = node_picture(colours, model.codebook.grid, model.codebook.topology)
        parts.append(figure(nodes, "The map: each node in the colour of its class"))
        return block(title, [figures(parts), _classes(model, shares)])


def _sight(model: TeacherModel) -> str:
    """Say in words what the teacher sees by."""
    y, x = model.spacing_mm
    windows = (
        f"{name} {low:.4g} to {high:.4g}"
        for name, (low, high) in zip(model.channels, model.windows, strict=True)
    )
    level = model.extra.get("subject_level")
    uptake = "" if level is None else f", lesion level of uptake {level:.3g}"
    return f"pixels of {y:.3g} × {x:.3g} mm, window {', '.join(windows)}{uptake}"


def _pictures(transfer: Transfer, slices: ScanSlices) -> tuple[list[str], dict[int, float]]:
    """Draw the slice and its classes; return the share of each class in it too."""
    image, (y, x) = slices.images[0], slices.spacing_mm
    size = image.shape[1] * y, image.shape[2] * x
    windows = transfer.view.windows_at(slices.level)
    parts = [
        figure(
            np.asarray(grey(np.asarray(small(plane), np.float64), window)),
            f"{name} of the fit, as it sees it",
            size,
        )
        for name, plane, window in list(zip(transfer.model.channels, image, windows, strict=True))[
            :2
        ]
    ]
    labels = transfer.label(slices, with_confidence=False).labels[0]
    parts.append(
        figure(coloured(np.asarray(small(labels)), transfer.model.class_names), "Its classes", size)
    )
    counts = np.bincount(labels.ravel(), minlength=256) / labels.size
    return parts, {value: float(counts[value]) for value in transfer.model.class_names}


def _classes(model: TeacherModel, shares: dict[int, float]) -> str:
    """Return the table of classes."""
    head = ["", "class", "name", "nodes", *(["of the slice"] if shares else []), "read with care"]
    rows = []
    for value, name in sorted(model.class_names.items()):
        count = str(int((model.node_classes == value).sum()))
        share = [f"{100 * shares[value]:.1f} %"] if shares else []
        colour = swatch(class_colour(name, value))
        rows.append([colour, str(value), name, count, *share, model.doubtful.get(name, "")])
    return table(head, rows)
