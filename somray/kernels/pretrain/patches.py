"""Which patches of which pieces a step sees: few pieces an epoch, chosen by the seed, and nothing else held.

Patches lie anywhere that shows data, and are mirrored and turned as a student's are. What is told of their pixels
turns with them; features that depend on directions do not turn so simply, see `turns`. Every patch is drawn by a
generator of its own, so that threads may share the work and the bits stay.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError
from somray.kernels.pretrain.masking import block_mask
from somray.kernels.pretrain.piece import NO_NODE, PieceSource, TaughtPiece
from somray.kernels.pretrain.spec import PretrainSpec

__all__ = ["POOL_BYTES", "POOL_PIECES", "PatchSampler", "Patches", "turns"]

POOL_PIECES = 16
"""Pieces of an epoch, over which its patches are spread."""
POOL_BYTES = 2**28
"""Bytes that they may take together; one piece is always held."""
TRIES = 8
"""Windows that are drawn to find one that shows data; then the fullest of them is taken."""
ENOUGH = 0.5
"""Share of a window with data that is taken at once."""
NODES, FEATURES, GREY = ("nodes", "shuffled", "nodes2"), ("features",), ("kmeans",)
"""Targets that ask from each kind of plane."""

Turn = Callable[[NDArray[np.generic]], NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Patches:
    """What one step sees, and what its target asks from: planes that it does not are left out.

    Args:
        inputs: (b, d, [z,] y, x) float32.
        masked: (b, [z,] y, x) bool.
        known: (b, [z,] y, x) bool, where there is data.
        nodes: (b, k, [z,] y, x) int64.
        features: (b, f, [z,] y, x) float32.
        grey: (b, c, [z,] y, x) float32, values over their piece's windows.
    """

    inputs: NDArray[np.float32]
    masked: NDArray[np.bool_]
    known: NDArray[np.bool_]
    nodes: NDArray[np.int64]
    features: NDArray[np.float32]
    grey: NDArray[np.float32]


class PatchSampler:
    """Draws patches.

    Args:
        source: pieces.
        spec: what is asked.
        threads: that share the work.

    Raises:
        ShapeError: there is no piece.
    """

    def __init__(self, source: PieceSource, spec: PretrainSpec, threads: int = 1) -> None:
        if not len(source):
            raise ShapeError("there is no piece to learn from")
        self._source, self._spec, self._threads = source, spec, threads
        self._pool: list[TaughtPiece] = []
        self.rng = np.random.default_rng(spec.seed)

    def begin(self, seed: Sequence[int]) -> None:
        """Choose pieces and draw patches from here on by a seed."""
        self.rng = np.random.default_rng(tuple(seed))
        self._pool, held = [], 0
        for number in self.rng.permutation(len(self._source))[:POOL_PIECES]:
            piece = self._checked(self._source.read(int(number)))
            held += piece.values.nbytes + piece.nodes.nbytes + piece.features.nbytes
            if self._pool and held > POOL_BYTES:
                return
            self._pool.append(piece)

    def _checked(self, piece: TaughtPiece) -> TaughtPiece:
        spec = self._spec
        told = piece.values.ndim - 1, len(piece.values), len(piece.nodes), len(piece.features)
        asked = spec.dimensions, len(spec.channels), len(spec.classes), spec.features
        if told != asked:
            raise ShapeError(
                f"a piece must have (dimensions, channels, codebooks, features) {asked}, got {told}"
            )
        return piece

    def draw(self, count: int) -> Patches:
        """Draw patches of `spec.patch` pixels a side."""
        own = self.rng.spawn(count)
        if self._threads > 1:
            with ThreadPoolExecutor(self._threads) as pool:
                drawn = list(pool.map(self._patch, own))
        else:
            drawn = [self._patch(rng) for rng in own]
        return Patches(
            *(np.stack([getattr(one, part.name)[0] for one in drawn]) for part in fields(Patches))
        )

    def _patch(self, rng: np.random.Generator) -> Patches:
        """Draw one patch, a batch of its own."""
        spec = self._spec
        piece = self._pool[int(rng.integers(len(self._pool)))]
        window = self._window(piece, rng)
        steps = turns(spec.dimensions, rng, is_bound=spec.target == "features")

        def cut(array: NDArray[np.generic], filling: float) -> NDArray[np.generic]:
            part = array[(slice(None), *window)]
            found = np.full((len(part), *[spec.patch] * spec.dimensions), filling, part.dtype)
            found[tuple(map(slice, part.shape))] = part
            for step in steps:
                found = step(found)
            return np.ascontiguousarray(found)[None]

        values = cut(piece.values, np.nan)
        nodes, features, grey = (
            slice(None if spec.target in targets else 0) for targets in (NODES, FEATURES, GREY)
        )
        low, high = np.array(piece.windows, dtype=np.float32).T[
            :, None, :, *[None] * spec.dimensions
        ]
        return Patches(
            inputs=spec.views(piece.windows).inputs(values[0].astype(np.float32))[None],
            masked=block_mask(values.shape[2:], spec.block, spec.masked, rng)[None],
            known=~np.isnan(values).any(axis=1),
            nodes=cut(piece.nodes[nodes], NO_NODE).astype(np.int64),
            features=cut(piece.features[features], np.nan).astype(np.float32),
            grey=((values - low) / (high - low))[:, grey],
        )

    def _window(self, piece: TaughtPiece, rng: np.random.Generator) -> tuple[slice, ...]:
        """Draw a window of a piece that shows data."""
        best, chosen = -1.0, tuple[slice, ...]()
        for _ in range(TRIES):
            window = tuple(self._span(size, rng) for size in piece.values.shape[1:])
            known = 1.0 - float(np.isnan(piece.values[(slice(None), *window)]).mean())
            if known > best:
                best, chosen = known, window
            if best >= ENOUGH:
                break
        return chosen

    def _span(self, size: int, rng: np.random.Generator) -> slice:
        start = int(rng.integers(max(0, size - self._spec.patch) + 1))
        return slice(start, min(size, start + self._spec.patch))


def turns(dimensions: int, rng: np.random.Generator, *, is_bound: bool) -> list[Turn]:
    """Draw how a patch (n, [z,] y, x) is mirrored and turned.

    Args:
        dimensions: 2 or 3.
        rng: decides.
        is_bound: only by what leaves every feature what it is. Turned by a right angle, the two anisotropies
            change sign and rows and columns exchange their ratio; mirrored along one axis of a slice, the diagonal
            anisotropy changes sign. Half a turn in the plane, and the mirror along z, keep them all.
    """
    flips = [axis + 1 for axis in range(dimensions) if rng.random() < 0.5]
    swaps = bool(rng.random() < 0.5)
    if is_bound:
        flips = [axis for axis in flips if axis == dimensions - 2]  # z, where there is one
        flips += [dimensions - 1, dimensions] if swaps else []
        swaps = False
    found: list[Turn] = [lambda array: np.flip(array, tuple(flips))] if flips else []
    return [*found, lambda array: np.swapaxes(array, -1, -2)] if swaps else found
