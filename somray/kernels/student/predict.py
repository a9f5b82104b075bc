"""From images to a student's probabilities: one path for slices and volumes, on a CPU or a GPU.

Images are taken whole where they fit, else in tiles with all that a logit sees round them; views of pixels are
made tile by tile too. On a CPU every image is computed by one thread and several images at once, so the bits depend
on no number of threads.
"""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.memory import keep_freed
from somray.kernels.student.network import UNet, build_unet, folded
from somray.kernels.student.views import ImageViews, Window

__all__ = [
    "DEVICE_PIXELS",
    "TILES",
    "chances",
    "device_for",
    "network_of_model",
    "predict_student",
    "spans",
    "tile_chances",
    "views_of",
]

TILES = {2: 1024, 3: 128}
"""Largest side that the network sees at once, without halo, in two and three dimensions."""
DEVICE_PIXELS = 2**21
"""Pixels of a batch on another device: 8 slices of 512×512."""
KEPT_NETWORKS = 4
"""Networks that a process keeps built: one per protocol that it works on at once."""

_built: dict[str, UNet] = {}


def device_for(*, gpu: bool) -> str:
    """Return "cuda" where a GPU is asked for and there is one, else "cpu"."""
    return "cuda" if gpu and torch.cuda.is_available() else "cpu"


def views_of(model: StudentModel, windows: tuple[Window, ...] | None = None) -> ImageViews:
    """Return how a student sees images; `windows` where a scan has its own."""
    return ImageViews(model.kinds, windows or model.windows)


def network_of_model(model: StudentModel, device: str = "cpu") -> UNet:
    """Return a student's network ready for inference, built once per process and device; not to be changed.

    A worker gets its model anew with every slab, so what is kept goes by the weights themselves.
    """
    found = hashlib.blake2b(repr((device, sorted(model.network.items()))).encode())
    for name in sorted(model.weights):
        found.update(name.encode())
        found.update(np.ascontiguousarray(model.weights[name]).tobytes())
    key = found.hexdigest()
    network = _built.pop(key, None)
    if network is None:
        network = folded(build_unet(model.network, model.weights)).to(device)
    while len(_built) >= KEPT_NETWORKS:
        _built.pop(next(iter(_built)), None)  # the one not used for longest
    _built[key] = network
    return network


def predict_student(
    model: StudentModel,
    images: NDArray[np.float32],
    windows: tuple[Window, ...] | None = None,
    threads: int = 1,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Predict the target's probability at every pixel.

    Args:
        model: a trained student.
        images: (n, c, [z,] y, x) physical values in the model's channel order; NaN where there is no data.
        windows: per channel, where the scan has its own; the model's otherwise.
        threads: images computed at once on a CPU; the result does not depend on them.
        device: where torch computes, "cpu" or "cuda".

    Returns:
        (n, [z,] y, x) float32 in [0, 1]; 0 where any channel has no data.

    Raises:
        ShapeError: the images do not fit the model.

    Cost: memory of one tile at work for each thread, beside the result; on a device of `DEVICE_PIXELS` pixels.
    """
    dimensions = int(model.network["dimensions"])
    if images.ndim != dimensions + 2 or images.shape[1] != len(model.channels):
        axes = "z, y, x" if dimensions == 3 else "y, x"
        raise ShapeError(
            f"images must be (n, c, {axes}) with channels {model.channels}, got {images.shape}"
        )
    network, views = network_of_model(model, device), views_of(model, windows)
    return chances(network, images, views, threads, device, model.temperature)


def chances(
    network: UNet,
    images: Sequence[NDArray[np.float32]] | NDArray[np.float32],
    views: ImageViews,
    threads: int = 1,
    device: str = "cpu",
    temperature: float = 1.0,
) -> NDArray[np.float32]:
    """Run a folded network on images (n, c, [z,] y, x) of one shape; see `predict_student`."""
    out = np.empty((len(images), *images[0].shape[1:]), dtype=np.float32)
    pixels = max(1, int(np.prod(out.shape[1:])))
    together = max(1, DEVICE_PIXELS // pixels) if device != "cpu" else 1
    groups = [slice(n, n + together) for n in range(0, len(images), together)]
    settings = device, temperature

    def predict(group: slice) -> None:
        _tiled(network, [np.asarray(image) for image in images[group]], views, out[group], settings)

    workers = max(1, min(threads, len(groups))) if device == "cpu" else 1
    with deterministic(1):
        if workers == 1:  # without a pool: its threads have heaps of their own
            for group in groups:
                predict(group)
            return out
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(predict, groups))
    return out


def _tiled(
    network: UNet,
    images: list[NDArray[np.float32]],
    views: ImageViews,
    out: NDArray[np.float32],
    settings: tuple[str, float],
) -> None:
    """Run the network tile by tile over images (c, …) into out (b, …); `settings` are device and temperature."""
    shape = out.shape[1:]
    tile, halo = TILES[len(shape)], network.shape.halo
    parts_of = [list(spans(size, tile, halo)) for size in shape]
    for parts in itertools.product(*parts_of):
        outer = (slice(None), *(span for _, span in parts))
        chance = tile_chances(network, [image[outer] for image in images], views, *settings)
        inner = tuple(slice(own.start - seen.start, own.stop - seen.start) for own, seen in parts)
        out[(slice(None), *(own for own, _ in parts))] = chance[(slice(None), *inner)]


def tile_chances(
    network: nn.Module,
    tiles: Sequence[NDArray[np.float32]],
    views: ImageViews,
    device: str = "cpu",
    temperature: float = 1.0,
) -> NDArray[np.float32]:
    """Run a folded network once, on tiles (b, c, [z,] y, x) as they are; inside `deterministic`.

    Returns:
        (b, [z,] y, x) float32, right where all that a logit sees is in the tile; 0 where there is no data.
    """
    keep_freed()
    half = torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported(
        including_emulation=False
    )
    with torch.inference_mode():
        inputs = views.batch(tiles).to(device)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            logits = network(inputs).float()
        found: NDArray[np.float32] = torch.sigmoid(logits / temperature).cpu().numpy()
    for chance, values in zip(found, tiles, strict=True):
        chance[np.isnan(values).any(axis=0)] = 0.0
    return found


def spans(size: int, tile: int, halo: int) -> Iterator[tuple[slice, slice]]:
    """Cut an axis into tiles, each with what is seen round it."""
    for start in range(0, size, tile):
        stop = min(start + tile, size)
        yield slice(start, stop), slice(max(0, start - halo), min(size, stop + halo))
