"""`somray.Teacher`: the teacher as an object for scripts and notebooks, thin over the kernels."""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import Codebook, TeacherModel
from somray.errors import ShapeError
from somray.kernels.teacher import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher_level import has_level, subject_histogram, subject_level

__all__ = ["Teacher"]

Window = tuple[float, float]


class Teacher:
    """A SOM fitted on one slice (or a few), whose nodes have classes.

    Images go in as they are (HU, SUV, counts): (y, x) for one channel, (c, y, x) for one slice,
    (n, c, y, x) for several; NaN means no data.

    Args:
        grid: rows and columns of the map.
        modality: CT, PET, PETCT, MR, XCT or other; it chooses the rule that names classes.
        channels: names in image order; CT and PET for PETCT, the modality itself where left out.
        intensity: channel to {"window": [low, high]} as in the YAML; chosen automatically otherwise.
        seed: of the map.
        classes: class name to node numbers, which beats the rule for those nodes.

    Example:
        >>> teacher = Teacher(grid=(3, 3), modality="CT").fit(image)
        >>> teacher.predict(image).shape == image.shape
        True
    """

    def __init__(
        self,
        grid: tuple[int, int] = (5, 5),
        modality: str = "other",
        channels: Sequence[str] | None = None,
        intensity: Mapping[str, Mapping[str, object]] | None = None,
        seed: int = 0,
        classes: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        if channels is None:
            channels = ("CT", "PET") if modality == "PETCT" else (modality,)
        self._spec = TeacherSpec(
            modality=modality,
            channels=tuple(channels),
            windows=_windows(tuple(channels), intensity or {}),
            grid=(int(grid[0]), int(grid[1])),
            seed=seed,
            classes=classes,
        )
        self._model: TeacherModel | None = None

    def fit(
        self,
        image: NDArray[np.float32],
        spacing_mm: tuple[float, float] = (1.0, 1.0),
        level: float | None = None,
    ) -> Self:
        """Fit on every pixel of one or several slices; starts anew each time.

        Args:
            image: (y, x), (c, y, x) or (n, c, y, x).
            spacing_mm: distance between pixels along (y, x).
            level: lesion level of uptake of the whole scan (`level_of`), for PET.

        Returns:
            Itself.

        Raises:
            ShapeError: wrong shape, no data or no contrast.
        """
        self._model = fit_teacher(self._stacked(image), self._spec, spacing_mm, level).model
        return self

    def predict(
        self,
        image: NDArray[np.float32],
        spacing_mm: tuple[float, float] = (1.0, 1.0),
        level: float | None = None,
    ) -> NDArray[np.uint8]:
        """Label slices by direct transfer.

        Args:
            image: (y, x), (c, y, x) or (n, c, y, x).
            spacing_mm: distance between pixels along (y, x).
            level: lesion level of uptake of the scan at hand (`level_of`), for PET; the reference's
                own where left out, which suits slices of the same subject.

        Returns:
            uint8 (y, x), or (n, y, x) for several slices: 0 no data, else a number of `classes`.

        Raises:
            ShapeError: not fitted, or wrong shape.
        """
        labels = apply_teacher(self.model, self._stacked(image), spacing_mm, level).labels
        return labels if np.ndim(image) == 4 else labels[0]

    def level_of(self, images: NDArray[np.float32]) -> float | None:
        """Return the lesion level of uptake of a scan (n, c, y, x), or None without PET."""
        if not has_level(self._spec.modality, self._spec.channels):
            return None
        spec = self._spec
        counts = subject_histogram(self._stacked(images), spec.modality, spec.channels)
        return subject_level(counts, spec.modality)

    @property
    def model(self) -> TeacherModel:
        """Everything that was fitted.

        Raises:
            ShapeError: if nothing was fitted yet.
        """
        if self._model is None:
            raise ShapeError("the teacher is not fitted yet: call fit(image) first")
        return self._model

    @property
    def classes(self) -> dict[int, str]:
        """Class number to name."""
        return dict(self.model.class_names)

    @property
    def node_classes(self) -> NDArray[np.uint8]:
        """Class number of each node, (k,) uint8."""
        return self.model.node_classes

    @property
    def doubtful(self) -> dict[str, str]:
        """Classes that must be read with care, with the reason."""
        return dict(self.model.doubtful)

    @property
    def codebook(self) -> Codebook:
        """The fitted map, in standardised and weighted features."""
        return self.model.codebook

    def _stacked(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring an image to (n, c, y, x)."""
        array = np.asarray(image)
        channels = len(self._spec.channels)
        if array.ndim == 2 and channels == 1:
            return array[None, None]
        if array.ndim == 3 and len(array) == channels:
            return array[None]
        if array.ndim == 4 and array.shape[1] == channels:
            return array
        raise ShapeError(
            f"an image of {channels} channels is ({channels}, y, x) or (n, {channels}, y, x)"
            f"{', or (y, x)' if channels == 1 else ''}; got shape {array.shape}"
        )


def _windows(
    channels: tuple[str, ...], intensity: Mapping[str, Mapping[str, object]]
) -> tuple[Window | None, ...]:
    """Read {"CT": {"window": [low, high]}} into one window per channel."""
    for name, settings in intensity.items():
        if name not in channels or set(settings) - {"window"}:
            raise ShapeError(
                f"intensity[{name!r}] = {dict(settings)}: expected a channel of {channels} with "
                "{'window': [low, high]}"
            )
    chosen: list[Window | None] = []
    for name in channels:
        window = intensity.get(name, {}).get("window", "auto")
        if isinstance(window, str):
            if window != "auto":
                raise ShapeError(f"window of {name} must be [low, high] or 'auto', got {window!r}")
            chosen.append(None)
        elif isinstance(window, Sequence) and len(window) == 2 and window[0] < window[1]:
            chosen.append((float(window[0]), float(window[1])))
        else:
            raise ShapeError(f"window of {name} must be [low, high] with low < high, got {window}")
    return tuple(chosen)
