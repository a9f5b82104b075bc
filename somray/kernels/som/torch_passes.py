"""The passes of a fit on a torch device: the same fold, its sums done by an accelerator.

Sums per node are a product of a one-hot matrix and the samples in float64, chunk after chunk: no atomic
additions, so the same device gives the same bits each time. Another device, or `ArrayPasses`, differs by
rounding alone: scores of near ties may fall to the other node.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som.blocks import Floats, checked_samples
from somray.kernels.som.fit import EPOCHS, Training, fit_passes
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.partials import MOST_PAIRED, MapErrors, Moments, NodeSums, merge_moments
from somray.kernels.som.passes import NodeQuery
from somray.kernels.som.table import half_squares, node_table

__all__ = ["TorchPasses", "fit_torch", "torch_device"]

CHUNK = 65_536
"""Samples at once; with 100 nodes their one-hot matrix takes 52 MB."""


def torch_device(name: str) -> torch.device:
    """Return a device that can be used.

    Raises:
        ShapeError: torch does not know it, or this machine has none.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        told = str(error).splitlines()[0]
        raise ShapeError(
            f"torch device {name!r} cannot be used here ({told}); take engine somray, or device cpu"
        ) from error
    return device


class TorchPasses:
    """Passes over samples in a device's memory, as one item.

    Args:
        samples: (n, f) finite, any strides; copied to the device once.
        device: a torch device, "cuda" or "cpu".

    Raises:
        ShapeError: samples are not usable, or the device is not.
    """

    def __init__(self, samples: Floats, device: str = "cuda") -> None:
        place = torch_device(device)
        checked_samples(samples)
        rows = np.ascontiguousarray(samples, dtype=np.float32)
        self._samples = torch.tensor(rows, device=place)

    def _chunks(self, shift: Floats) -> Iterator[torch.Tensor]:
        move = torch.tensor(shift, device=self._samples.device)
        for start in range(0, len(self._samples), CHUNK):
            yield self._samples[start : start + CHUNK] - move

    def moments(self) -> Moments:
        """Return the moments of all samples."""
        shift = self._samples[0].cpu().numpy()
        parts = []
        for chunk in self._chunks(shift):
            exact = chunk.double()
            first, second = exact.sum(dim=0), exact.T @ exact
            parts.append(
                Moments(len(chunk), shift.astype(np.float64), _numpy(first), _numpy(second))
            )
        return merge_moments(parts)

    def rows(self, numbers: NDArray[np.int64]) -> Floats:
        """Return samples (m, f) by their numbers."""
        place = torch.tensor(numbers, device=self._samples.device)
        return np.asarray(self._samples[place].cpu().numpy())

    def node_sums(self, query: NodeQuery) -> NodeSums:
        """Return the sums of all samples at their nearest nodes."""
        table = node_table(query.weights)
        device = self._samples.device
        nodes, bias = _scoring(table.nodes, device)
        sums = torch.zeros(len(nodes), nodes.shape[1] + 2, dtype=torch.float64, device=device)
        tails = torch.zeros_like(sums)
        tail = None if query.tail is None else torch.tensor(query.tail, device=device)
        squares = []
        for chunk in self._chunks(table.shift):
            near = _scores(chunk, nodes, bias).argmax(dim=1)
            squared = ((chunk.double() - nodes.double()[near]) ** 2).sum(dim=1)
            one_hot = torch.nn.functional.one_hot(near, len(nodes)).double().T
            count = torch.ones_like(squared)
            columns = torch.cat([chunk.double(), count[:, None], squared[:, None]], dim=1)
            sums += one_hot @ columns
            if tail is not None:
                tails += one_hot @ (columns * (squared > tail[near]).double()[:, None])
            if query.worst:
                squares.append(squared)
        worst, errors = self._worst(squares, query.worst)
        shift = table.shift.astype(np.float64)
        total, counts, squared_errors = _parted(_numpy(sums), shift)
        far, far_counts, far_errors = _parted(_numpy(tails), shift)
        if tail is None:
            squared_errors = np.zeros(len(nodes))
        return NodeSums(total, counts, squared_errors, far, far_counts, far_errors, worst, errors)

    def _worst(self, squares: list[torch.Tensor], count: int) -> tuple[Floats, NDArray[np.float64]]:
        """Return the samples furthest from their nodes, the earlier of equal ones first."""
        if not count:
            return np.zeros((0, self._samples.shape[1]), np.float32), np.zeros(0)
        squared = torch.cat(squares)
        order = torch.sort(squared, descending=True, stable=True).indices[:count]
        return np.asarray(self._samples[order].cpu().numpy()), _numpy(squared[order])

    def errors(self, weights: Floats, lattice: Lattice) -> MapErrors:
        """Return hits, distances and misses of all samples."""
        table = node_table(weights)
        device = self._samples.device
        nodes, bias = _scoring(table.nodes, device)
        near = torch.tensor(lattice.neighbours, device=device)
        sums = torch.zeros(len(nodes), 3, dtype=torch.float64, device=device)
        paired = len(nodes) if 1 < len(nodes) <= MOST_PAIRED else 0
        pairs = torch.zeros(paired * paired, dtype=torch.int64, device=device)
        for chunk in self._chunks(table.shift):
            scores = _scores(chunk, nodes, bias)
            two = scores.topk(min(2, len(nodes)), dim=1).indices
            first, second = scores.argmax(dim=1), two[:, -1]
            second = torch.where(second == first, two[:, 0], second)
            distance = ((chunk.double() - nodes.double()[first]) ** 2).sum(dim=1).sqrt()
            missed = ~near[first, second] & (len(nodes) > 1)
            one_hot = torch.nn.functional.one_hot(first, len(nodes)).double().T
            columns = torch.stack([torch.ones_like(distance), distance, missed.double()], dim=1)
            sums += one_hot @ columns
            if paired:
                pairs += torch.bincount(first * paired + second, minlength=paired * paired)
        hits, distances, misses = _numpy(sums).T
        counts = pairs.cpu().numpy().reshape(paired, paired)
        return MapErrors(hits.astype(np.int64), distances.copy(), misses.astype(np.int64), counts)


def _scores(samples: torch.Tensor, nodes: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Return x·w − |w|²/2 (n, k) of samples and nodes, greatest at the nearest node."""
    return torch.addmm(bias, samples, nodes.T)


def _scoring(nodes: Floats, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return nodes (k, f) and their `half_squares` (k,) on the device."""
    bias = half_squares(nodes).astype(np.float32)
    return torch.tensor(nodes, device=device), torch.tensor(bias, device=device)


def _parted(
    sums: NDArray[np.float64], shift: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Part columns into sums with the shift given back, counts, and squared errors."""
    counts = sums[:, -2]
    return sums[:, :-2] + counts[:, None] * shift, counts.astype(np.int64), sums[:, -1].copy()


def _numpy(values: torch.Tensor) -> NDArray[np.float64]:
    return np.asarray(values.cpu().numpy(), dtype=np.float64)


def fit_torch(
    samples: Floats,
    grid: tuple[int, int] = (10, 10),
    seed: int = 0,
    epochs: int = EPOCHS,
    training: Training | None = None,
    device: str = "cuda",
) -> Codebook:
    """Fit a batch SOM on a torch device; arguments and result as `somray.som.fit`.

    Raises:
        ShapeError: what `fit` refuses, and a device that this machine does not have.
    """
    return fit_passes(TorchPasses(np.asarray(samples), device), grid, seed, epochs, training)
