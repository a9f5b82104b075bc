"""The map as a scikit-learn estimator: `SelfOrganizingMap` in pipelines, grid searches and clones.

scikit-learn is optional (`pip install "somray[sklearn]"`); nothing else in somray needs it.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from somray.domain.teacher import Codebook
from somray.kernels.som.arrays import Training, assign, fit
from somray.kernels.som.fit import EPOCHS, FINAL_RADIUS

try:
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        ClusterMixin,
        TransformerMixin,
    )
    from sklearn.metrics import pairwise_distances
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        'SelfOrganizingMap needs scikit-learn: pip install "somray[sklearn]" '
        "(somray.som.fit and assign do without it)"
    ) from error

__all__ = ["SelfOrganizingMap"]


# scikit-learn's classes carry no types: Any.
class SelfOrganizingMap(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    ClusterMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Batch self-organizing map with scikit-learn's conventions.

    Args:
        grid: rows and columns of the map.
        epochs: passes over all samples at most.
        start: "pca" or "samples" (a draw by `random_state`), or nodes (k, f) to go on from.
        final_radius: neighbourhood radius of the last epochs, in grid steps.
        topology: "rectangular" or "hexagonal".
        wraps: whether the map is a torus.
        rare: whether small regimes far from all others get nodes of their own.
        tolerance: the fit ends once no node moves further, in units of the samples' spread.
        random_state: seed of a drawn start.
        threads: worker threads; no result depends on them.

    Attributes:
        codebook_: the fitted `Codebook`, with hits, quantization and topographic error.
        cluster_centers_: (k, f) float32, its nodes, row by row of the grid.
        labels_: (n,) int32, the node of each sample of the fit.
        n_features_in_, feature_names_in_: as scikit-learn has them.
        n_iter_: epochs that were run.

    Example:
        >>> import numpy as np, somray
        >>> samples = np.random.default_rng(0).normal(size=(200, 3))
        >>> som = somray.som.SelfOrganizingMap(grid=(3, 4), random_state=0).fit(samples)
        >>> som.predict(samples).shape, som.transform(samples).shape
        ((200,), (200, 12))
    """

    def __init__(
        self,
        grid: tuple[int, int] = (10, 10),
        *,
        epochs: int = EPOCHS,
        start: str | NDArray[np.float32] = "pca",
        final_radius: float = FINAL_RADIUS,
        topology: str = "rectangular",
        wraps: bool = False,
        rare: bool = False,
        tolerance: float = 1e-3,
        random_state: Any = None,  # Any: an integer, a RandomState or None, as scikit-learn has it
        threads: int = 1,
    ) -> None:
        self.grid = grid
        self.epochs = epochs
        self.start = start
        self.final_radius = final_radius
        self.topology = topology
        self.wraps = wraps
        self.rare = rare
        self.tolerance = tolerance
        self.random_state = random_state
        self.threads = threads

    def fit(self, X: ArrayLike, y: object = None) -> "SelfOrganizingMap":  # noqa: N803
        """Fit the map.

        Args:
            X: (n, f) samples, finite.
            y: ignored, there by convention.

        Returns:
            The estimator itself.
        """
        del y
        samples = self._checked(X, reset=True)
        training = Training(
            start=self.start,
            final_radius=self.final_radius,
            rare=self.rare,
            topology=self.topology,
            wraps=self.wraps,
            tolerance=self.tolerance,
        )
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.codebook_: Codebook = fit(
            samples, self.grid, seed, self.epochs, training, self.threads
        )
        self.cluster_centers_ = self.codebook_.weights
        self.labels_ = assign(samples, self.codebook_, self.threads)
        self.n_iter_ = self.codebook_.epochs_run
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:  # noqa: N803
        """Return the number of the nearest node of each sample, (n,) int32, row by row of the grid."""
        check_is_fitted(self)
        return assign(self._checked(X, reset=False), self.codebook_, self.threads)

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:  # noqa: N803
        """Return the distance of each sample to every node, (n, k) float32."""
        check_is_fitted(self)
        samples = self._checked(X, reset=False)
        return np.asarray(pairwise_distances(samples, self.cluster_centers_), dtype=np.float32)

    @property
    def _n_features_out(self) -> int:
        """Number of columns of `transform`, which `get_feature_names_out` reads."""
        return len(self.cluster_centers_)

    def _checked(self, samples: ArrayLike, *, reset: bool) -> NDArray[np.float32]:
        """Return samples as scikit-learn checks them, float32."""
        checked = validate_data(self, samples, dtype=np.float32, reset=reset)
        return np.asarray(checked, dtype=np.float32)
