"""A map as people see it."""

from dataclasses import dataclass, fields

import numpy as np

from somray.api.shown.colours import heat
from somray.api.shown.nodes import node_picture
from somray.api.shown.page import block, figure, figures
from somray.domain.teacher import Codebook
from somray.kernels.som.maps import u_matrix

__all__ = ["ShownCodebook"]


@dataclass(frozen=True, eq=False, repr=False)
class ShownCodebook(Codebook):
    """A `Codebook` that says in a line what it is, and shows its U-matrix and hits in a notebook."""

    @classmethod
    def of(cls, book: Codebook) -> "ShownCodebook":
        """Take a map as it is; nothing is copied."""
        return cls(**{field.name: getattr(book, field.name) for field in fields(Codebook)})

    def __repr__(self) -> str:
        rows, columns = self.grid
        parts = [
            f"Codebook {rows} × {columns}, {self.topology}{', a torus' if self.wraps else ''}",
            f"{self.weights.shape[1]} features",
        ]
        if self.hits is not None:
            parts.append(f"{int(self.hits.sum())} samples")
        if self.quantization_error is not None:
            parts.append(f"quantization error {self.quantization_error:.3g}")
        if self.topographic_error is not None:
            parts.append(f"topographic error {self.topographic_error:.2g}")
        if self.epochs_run is not None:
            parts.append(f"{self.epochs_run} epochs")
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        far = u_matrix(self).ravel()
        most = float(far.max()) or 1.0
        parts = [self._picture(far / most, "U-matrix: dark nodes lie far from their neighbours")]
        if self.hits is not None:
            share = np.sqrt(self.hits / max(int(self.hits.max()), 1))
            parts.append(self._picture(share, "Hits: dark nodes won many samples"))
        return block(repr(self), [figures(parts)])

    def _picture(self, share: np.ndarray, caption: str) -> str:
        colours = heat(share[None])[0]
        return figure(node_picture(colours, self.grid, self.topology), caption)
