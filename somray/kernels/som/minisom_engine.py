"""minisom as the engine: fitted by its own training loop, then used like any other codebook.

Source: G. Vettigli, MiniSom (MIT licence), https://github.com/JustGlowing/minisom
"""

import numpy as np
from minisom import MiniSom
from numpy.typing import NDArray

from somray.domain.teacher import Codebook
from somray.errors import ShapeError
from somray.kernels.som.arrays import checked_samples, measure

__all__ = ["fit_minisom"]

FIRST_RADIUS = 0.3
"""First neighbourhood radius as a share of the longer side; minisom shrinks it to a third of that."""


def fit_minisom(
    samples: NDArray[np.float32],
    grid: tuple[int, int] = (10, 10),
    seed: int = 0,
    epochs: int = 20,
    threads: int = 1,
) -> Codebook:
    """Fit with `MiniSom.train_batch_offline` from a PCA start.

    Args:
        samples: (n, f) float32, finite, any strides.
        grid: rows and columns of the map.
        seed: of minisom's generator.
        epochs: passes over all samples.
        threads: worker threads of the final measurement; minisom itself uses one.

    Returns:
        Codebook in the samples' units.

    Raises:
        ShapeError: samples, grid or epochs are not usable.

    Cost: about two hundred times our own engine's; one pass over 65,536 samples takes seconds.
    """
    samples = np.asarray(samples)
    checked_samples(samples)
    if min(grid) < 1 or epochs < 1:
        raise ShapeError(f"not usable: grid {grid}, epochs {epochs}")
    data = np.ascontiguousarray(samples, dtype=np.float64)
    som = MiniSom(
        grid[0],
        grid[1],
        data.shape[1],
        sigma=max(FIRST_RADIUS * max(grid), 0.5),
        learning_rate=1.0,
        random_seed=seed,
    )
    if data.shape[1] > 1 and min(grid) > 1 and len(data) > 1:
        som.pca_weights_init(data)
    else:
        som.random_weights_init(data)
    som.train_batch_offline(data, epochs)
    weights = som.get_weights().reshape(-1, data.shape[1]).astype(np.float32)
    return measure(samples, weights, grid, threads)
