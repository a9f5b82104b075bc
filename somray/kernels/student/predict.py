"""Probabilities of the student, slice by slice.

Each slice is computed alone, so the bits depend neither on how many slices are given nor on their
order; a slice too large for memory is cut into tiles whose halo covers the receptive field.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student.fit import deterministic
from somray.kernels.student.inputs import student_inputs
from somray.kernels.student.unet import UNet, build_unet

__all__ = ["feature_names_of", "predict_student", "probabilities"]

TILE = 1024
"""Largest side in pixels that the network sees at once, without halo: about 0.4 GB at work."""


def feature_names_of(model: StudentModel) -> tuple[str, ...]:
    """Return the names of the features that a student eats; empty for raw channels."""
    return tuple(name for name in str(model.network["features"]).split(",") if name)


def predict_student(
    model: StudentModel,
    images: NDArray[np.float32],
    spacing_mm: tuple[float, float],
    threads: int = 1,
) -> NDArray[np.float32]:
    """Predict the target's probability at every pixel.

    Args:
        model: a trained student.
        images: (n, c, y, x) physical values in the model's channel order; NaN where there is no data.
        spacing_mm: (y, x) distance of pixel centres of these images.
        threads: threads of the network.

    Returns:
        (n, y, x) float32 in [0, 1]; 0 where any channel has no data.

    Raises:
        ShapeError: if the images are not (n, c, y, x) with the model's channels.

    Cost: memory of one slice's inputs and of one tile at work, beside the result.
    """
    if images.ndim != 4 or images.shape[1] != len(model.channels):
        raise ShapeError(
            f"images must be (n, c, y, x) with channels {model.channels}, got {images.shape}"
        )
    module, names = build_unet(model.network, model.weights), feature_names_of(model)
    out = np.empty((len(images), *images.shape[2:]), dtype=np.float32)
    with deterministic(threads):
        for index, image in enumerate(images):
            stack = student_inputs(image, model.windows, names, spacing_mm, model.spacing_mm)
            out[index] = probabilities(module, stack)
    return out


def probabilities(
    module: UNet, stack: NDArray[np.float32], device: str = "cpu", tile: int = TILE
) -> NDArray[np.float32]:
    """Run a network on one slice's inputs.

    Args:
        module: the network, on `device`.
        stack: (d, y, x) float32 inputs, NaN where there is no data.
        device: where the network is.
        tile: largest side computed at once, a multiple of the network's `multiple`.

    Returns:
        (y, x) float32 in [0, 1]; 0 where there is no data.
    """
    out = np.empty(stack.shape[1:], dtype=np.float32)
    with torch.inference_mode():
        for rows, outer_rows in _spans(stack.shape[1], tile, module.halo):
            for columns, outer_columns in _spans(stack.shape[2], tile, module.halo):
                part = torch.from_numpy(stack[None, :, outer_rows, outer_columns]).to(device)
                chance = torch.sigmoid(module(part))[0].cpu().numpy()
                top, left = rows.start - outer_rows.start, columns.start - outer_columns.start
                out[rows, columns] = chance[
                    top : top + rows.stop - rows.start, left : left + columns.stop - columns.start
                ]
    out[np.isnan(stack).any(axis=0)] = 0.0
    return out


def _spans(size: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut an axis into tiles; each with what is seen round it."""
    for start in range(0, size, tile):
        stop = min(start + tile, size)
        yield slice(start, stop), slice(max(0, start - halo), min(size, stop + halo))
