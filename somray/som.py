"""Self-organizing maps on plain samples: `fit` a codebook, `assign` samples to its nodes."""

from somray.kernels.som import assign, fit

__all__ = ["assign", "fit"]
