"""`somray.Teacher`: the teacher as an object for scripts and notebooks, thin over the kernels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from somray.api.threads import usable_threads
from somray.domain.channel import channels_of
from somray.domain.teacher import Codebook, TeacherModel
from somray.errors import ShapeError
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level
from somray.kernels.features.view import ScanSlices, calmed
from somray.kernels.teacher.apply import Transfer
from somray.kernels.teacher.drift import Drift
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from somray.kernels.teacher.signature import drift_from

__all__ = ["Teacher", "TeacherOptions"]

Window = tuple[float, float]


class TeacherOptions(TypedDict, total=False):
    """Further settings of a `Teacher`, as in `teacher:` of the YAML.

    Args:
        engine: "somray", "minisom" or "torch".
        epochs: passes over the reference.
        features: names of `somray.FEATURES`.
        topology: "rectangular" or "hexagonal".
        torus: whether opposite sides of the map are joined.
        dimensions: 3 for features that look at the neighbouring slices too; images are then consecutive
            slices (n, c, y, x), and spacing_mm is (z, y, x).
        smoothing_mm: radius of a majority vote over the class map, 0 for none; 5 mm on PETCT.
        denoise: "auto" denoises slices that are clearly noisier than the reference before they are labelled,
            "nlm" every slice, "none" none.
        target: class that must exist in the end.
    """

    engine: str
    epochs: int
    features: tuple[str, ...]
    topology: str
    torus: bool
    dimensions: int
    smoothing_mm: float | None
    denoise: str
    target: str


class Teacher:
    """A SOM fitted on one slice (or a few), whose nodes have classes.

    Images go in as they are (HU, SUV, counts): (y, x) or a volume (z, y, x) for one channel, (c, y, x)
    for one slice, (n, c, y, x) for several; NaN means no data.

    A PET channel is seen at its scan's own lesion level of uptake. Where several slices are given, they
    stand for their scan and the level is read from all of them; `level` overrules it. One slice alone is
    seen at the level that the teacher was fitted with.

    Args:
        grid: rows and columns of the map.
        modality: CT, PET, PETCT, MR, XCT or other; it chooses the rule that names classes.
        channels: names in image order; CT and PET for PETCT, the modality itself where left out.
        intensity: channel to {"window": [low, high]} as in the YAML; chosen automatically otherwise.
        seed: of the map.
        classes: class name to node numbers, which beats the rule for those nodes.
        **options: further settings, see `TeacherOptions`.

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
        **options: Unpack[TeacherOptions],
    ) -> None:
        unknown = sorted(set(options) - set(TeacherOptions.__annotations__))
        if unknown:
            known = ", ".join(TeacherOptions.__annotations__)
            raise TypeError(
                f"Teacher has no settings {', '.join(unknown)}; further ones are {known}"
            )
        if channels is None:
            channels = ("CT", "PET") if modality == "PETCT" else (modality,)
        self._spec = TeacherSpec(
            modality=modality,
            channels=tuple(channels),
            windows=_windows(tuple(channels), intensity or {}),
            grid=(int(grid[0]), int(grid[1])),
            seed=seed,
            classes=classes,
            **options,
        )
        self._transfer: Transfer | None = None

    def fit(
        self,
        image: NDArray[np.float32],
        spacing_mm: tuple[float, ...] = (1.0, 1.0),
        level: float | None = None,
        previous: "Teacher | None" = None,
    ) -> Self:
        """Fit on every pixel of one or several slices; starts anew each time.

        Args:
            image: (y, x), (z, y, x), (c, y, x) or (n, c, y, x).
            spacing_mm: distance between pixels along (y, x), or (z, y, x) for three dimensions.
            level: lesion level of uptake of the whole scan (`level_of`), for PET; read from the slices
                given where left out. Give it where they are a few of many.
            previous: an earlier teacher whose nodes are fitted on from where they are; each keeps the
                class of the old node nearest to it, so that class numbers keep their meaning.

        Returns:
            Itself.

        Raises:
            ShapeError: wrong shape, no data or no contrast.
        """
        spec, old = self._spec, None
        if previous is not None:
            spec, old = replace(spec, refit=True), previous.model
        images = self._stacked(image)
        threads = usable_threads()
        self._transfer = Transfer(fit_teacher(images, spec, spacing_mm, level, threads, old).model)
        return self

    def predict(
        self,
        image: NDArray[np.float32],
        spacing_mm: tuple[float, ...] = (1.0, 1.0),
        level: float | None = None,
    ) -> NDArray[np.uint8]:
        """Label slices by direct transfer.

        Args:
            image: (y, x), (z, y, x), (c, y, x) or (n, c, y, x).
            spacing_mm: distance between pixels along (y, x), or (z, y, x) for three dimensions.
            level: lesion level of uptake of the scan at hand (`level_of`), for PET. Where left out it is
                read from several slices; one slice takes the reference's own.

        Returns:
            uint8 (y, x), or (n, y, x) for several slices: 0 no data, else a number of `classes`.

        Raises:
            ShapeError: not fitted, wrong shape, or several slices without uptake in the body to read a
                level from.
        """
        slices = self._seen(image, spacing_mm, level)
        labels = self._ready.label(slices, usable_threads(), with_confidence=False).labels
        return labels if np.ndim(image) == 4 or len(labels) > 1 else labels[0]

    def drift(
        self,
        image: NDArray[np.float32],
        spacing_mm: tuple[float, ...] = (1.0, 1.0),
        level: float | None = None,
    ) -> Drift | None:
        """Tell how well the teacher carries over to slices, without any mask.

        Args:
            image: (y, x), (z, y, x), (c, y, x) or (n, c, y, x).
            spacing_mm: distance between pixels along (y, x), or (z, y, x) for three dimensions.
            level: as for `predict`.

        Returns:
            Status "ok" or "drifted", distances against the reference's, the feature that moved most and
            the reason in words; None where no pixel has data.

        Raises:
            ShapeError: as for `predict`.
        """
        slices = self._seen(image, spacing_mm, level)
        found = self._ready.sign(slices, usable_threads())
        return drift_from(self.model, found.signature.drift)

    def _seen(
        self, image: NDArray[np.float32], spacing_mm: tuple[float, ...], level: float | None
    ) -> ScanSlices:
        """Take slices as their scan's, at its own level where they tell one and none is given, denoised."""
        images = self._stacked(image)
        if level is None and len(images) > 1:
            level = self.level_of(images)
        return calmed(self._ready.view, ScanSlices.of(images, spacing_mm, level))

    def level_of(self, images: NDArray[np.float32]) -> float | None:
        """Return the lesion level of uptake of a scan, or None without PET.

        Args:
            images: (n, c, y, x), or (z, y, x) for one channel.

        Raises:
            ShapeError: wrong shape, or no pixel with uptake in the body.
        """
        channels = channels_of(self._spec.modality, self._spec.channels)
        if not has_level(channels):
            return None
        return subject_level(
            subject_histogram(self._stacked(images), channels), self._spec.modality
        )

    @property
    def model(self) -> TeacherModel:
        """Everything that was fitted.

        Raises:
            ShapeError: if nothing was fitted yet.
        """
        return self._ready.model

    @property
    def _ready(self) -> Transfer:
        if self._transfer is None:
            raise ShapeError("the teacher is not fitted yet: call fit(image) first")
        return self._transfer

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
        """Bring an image to (n, c, y, x); with one channel, (z, y, x) are slices."""
        array = np.asarray(image)
        channels = len(self._spec.channels)
        if array.ndim == 2 and channels == 1:
            return array[None, None]
        if array.ndim == 3 and channels == 1 and len(array):
            return array[:, None]
        if array.ndim == 3 and len(array) == channels:
            return array[None]
        if array.ndim == 4 and array.shape[1] == channels:
            return array
        raise ShapeError(
            f"an image of {channels} channels is ({channels}, y, x) or (n, {channels}, y, x)"
            f"{', or (y, x), or (z, y, x)' if channels == 1 else ''}; got shape {array.shape}"
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
