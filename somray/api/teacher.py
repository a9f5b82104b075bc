"""`somray.Teacher`: the teacher as an object for scripts and notebooks, thin over the kernels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Self, Unpack

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.image import ImageLike
from somray.api.inputs.scan import ScanReader
from somray.api.inputs.stack import SliceStack
from somray.api.options import TeacherOptions, require_known
from somray.api.settings import checked_grid, checked_modality, windows_of
from somray.api.shown.codebook import ShownCodebook
from somray.api.shown.drift import ShownDrift
from somray.api.shown.teacher import TeacherCard
from somray.api.threads import usable_threads
from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.features.view import ScanSlices, calmed
from somray.kernels.teacher.apply import Transfer
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from somray.kernels.teacher.signature import drift_from

__all__ = ["Teacher", "TeacherOptions"]


class Teacher:
    """A self-organizing map fitted on one slice (or a few), whose nodes have classes.

    It learns without any label which kinds of pixels there are, names them (background, normal, lesion,
    boundary, and what the modality shows besides), and tells them apart in any other slice of its protocol.

    **What is an image.** Values as they are (HU, SUV, counts), NaN for no data; windows belong to the teacher.
    With one channel a slice is (y, x) or (1, y, x) and a volume (z, y, x); with several a slice is (c, y, x) and
    several slices are (n, c, y, x), or {"CT": ct, "PET": pet}. Lists, integers, torch and dask arrays are taken; so
    are images of nibabel and SimpleITK and xarray.DataArray, whose spacing is used and whose voxels are neither
    turned nor flipped: results are numpy arrays (z, y, x), an xarray.DataArray where one was given.

    **PET** is seen at its scan's own lesion level of uptake. Where several slices are given, they stand for
    their scan and the level is read from all of them; `level` overrules it. One slice alone does not tell it: it
    is seen at the level that the teacher was fitted at. Give `level=teacher.level_of(volume)` then, or a volume.

    Args:
        grid: rows and columns of the map.
        modality: CT, PET, PETCT, MR, XCT or other; it chooses the rule that names classes.
        channels: names in image order; CT and PET for PETCT, the modality itself where left out.
        intensity: channel to {"window": [low, high]} as in the YAML; chosen automatically otherwise.
        seed: of the map.
        classes: class name to node numbers, which beats the rule for those nodes.
        **options: further settings, see `TeacherOptions`.

    Raises:
        ShapeError: a setting that is not known or not usable.
        TypeError: an option that does not exist.

    Example:
        >>> import numpy as np, somray
        >>> y, x = np.mgrid[:48, :48]
        >>> ct = np.where(np.hypot(y - 24, x - 24) < 18, 50.0, -1000.0)  # a body in air, HU
        >>> ct[18:26, 20:28] = 200.0
        >>> teacher = somray.Teacher(modality="CT").fit(ct, spacing_mm=(0.8, 0.8))
        >>> teacher.classes[3]
        'lesion'
        >>> labels = teacher.predict(ct, spacing_mm=(0.8, 0.8))
        >>> labels.shape, str(labels.dtype)
        ((48, 48), 'uint8')
        >>> teacher.predict(np.stack([ct, ct, ct]), spacing_mm=(3.0, 0.8, 0.8)).shape  # a volume
        (3, 48, 48)

    Source: T. Kohonen, "Essentials of the self-organizing map", Neural Networks 37, 2013 (batch map).
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
        require_known(options)
        modality = checked_modality(modality)
        if channels is None:
            channels = ("CT", "PET") if modality == "PETCT" else (modality,)
        names = (channels,) if isinstance(channels, str) else tuple(channels)
        if not names or len(set(names)) < len(names):
            raise ShapeError(f"channels must be at least one name, each once; got {channels!r}")
        self._spec = TeacherSpec(
            modality=modality,
            channels=names,
            windows=windows_of(names, intensity, ShapeError),
            grid=checked_grid(grid),
            seed=seed,
            classes=classes,
            **options,
        )
        self._transfer: Transfer | None = None
        self._shown: ScanSlices | None = None

    @classmethod
    def of(cls, model: TeacherModel) -> Self:
        """Take up what was fitted before, for example by a run.

        Args:
            model: `run.teacher(protocol)`, or `model` of another teacher.

        Returns:
            A fitted teacher.

        Example:
            `somray.Teacher.of(run.teacher("chest-ct")).predict(volume)`
        """
        if not isinstance(model, TeacherModel):
            raise ShapeError(
                f"a teacher's model is expected, as run.teacher(PROTOCOL) gives it; got {type(model).__name__}"
            )
        made = cls(model.codebook.grid, model.modality, model.channels)
        windows = tuple(model.windows)
        made._spec = replace(made._spec, windows=windows, dimensions=model.dimensions)
        made._transfer = Transfer(model)
        return made

    def fit(
        self,
        image: ImageLike,
        spacing_mm: Sequence[float] | None = None,
        level: float | None = None,
        previous: "Teacher | None" = None,
    ) -> Self:
        """Fit on every pixel of one or several slices; starts anew each time.

        Args:
            image: (y, x), (z, y, x), (c, y, x) or (n, c, y, x), or an image object; see `Teacher`.
            spacing_mm: distance between pixels in mm along (y, x), or (z, y, x); where left out the image's
                own, (1.0, 1.0) for one that names none. Needed along z for three dimensions alone.
            level: lesion level of uptake of the whole scan (`level_of`), for PET; read from the slices
                given where left out. Give it where they are a few of many.
            previous: an earlier teacher whose nodes are fitted on from where they are; each keeps the
                class of the old node nearest to it, so that class numbers keep their meaning.

        Returns:
            Itself.

        Raises:
            ShapeError: wrong shape, no data, no contrast, or a spacing that contradicts the image's own.

        Example:
            >>> import numpy as np, somray
            >>> slices = np.random.default_rng(0).normal(40, 9, (3, 16, 16))
            >>> somray.Teacher((2, 2)).fit(slices).node_classes.shape
            (4,)
        """
        spec, old = self._spec, None
        if previous is not None:
            if not isinstance(previous, Teacher):
                raise ShapeError(f"previous must be a Teacher, got {type(previous).__name__}")
            spec, old = replace(spec, refit=True), previous.model
        reader, threads = ScanReader(self._spec), usable_threads()
        told = reader.checked_level(level)
        stack, spacing = reader.read(image, spacing_mm)
        found = fit_teacher(stack.images, spec, spacing, told, threads, old).model
        self._transfer = Transfer(found)
        middle = stack.images[len(stack.images) // 2][None].copy()  # what a notebook shows
        self._shown = ScanSlices.of(middle, spacing, found.extra.get("subject_level"))
        return self

    def predict(
        self,
        image: ImageLike,
        spacing_mm: Sequence[float] | None = None,
        level: float | None = None,
    ) -> NDArray[np.uint8]:
        """Label slices by direct transfer.

        Args:
            image: (y, x), (z, y, x), (c, y, x) or (n, c, y, x), or an image object; see `Teacher`.
            spacing_mm: distance between pixels in mm along (y, x), or (z, y, x); where left out the image's
                own, (1.0, 1.0) for one that names none.
            level: lesion level of uptake of the scan at hand (`level_of`), for PET. Where left out it is
                read from several slices; one slice alone takes the teacher's own.

        Returns:
            uint8 (y, x), or (n, y, x) for several slices: 0 no data, else a number of `classes`. For an
            xarray.DataArray one with its coordinates.

        Raises:
            ShapeError: not fitted, wrong shape, a spacing that contradicts the image's own, or several slices
                without uptake in the body to read a level from.

        Example:
            >>> import numpy as np, somray
            >>> volume = np.random.default_rng(0).normal(40, 9, (3, 16, 16))
            >>> teacher = somray.Teacher((2, 2)).fit(volume[1])
            >>> teacher.predict(volume).shape, teacher.predict(volume[1]).shape
            ((3, 16, 16), (16, 16))
        """
        stack, slices = self._seen(image, spacing_mm, level)
        labels = self._ready.label(slices, usable_threads(), with_confidence=False).labels
        found: NDArray[np.uint8] = stack.dressed(labels, "class", _flags(self.classes))
        return found

    def drift(
        self,
        image: ImageLike,
        spacing_mm: Sequence[float] | None = None,
        level: float | None = None,
    ) -> ShownDrift | None:
        """Tell how well the teacher carries over to slices, without any mask.

        Args:
            image: (y, x), (z, y, x), (c, y, x) or (n, c, y, x), or an image object; see `Teacher`.
            spacing_mm: as for `predict`.
            level: as for `predict`.

        Returns:
            Status "ok" or "drifted", distances against the reference's, the feature that moved most and
            the reason in words; None where no pixel has data.

        Raises:
            ShapeError: as for `predict`.

        Example:
            >>> import numpy as np, somray
            >>> slice_ = np.random.default_rng(0).normal(40, 9, (32, 32))
            >>> teacher = somray.Teacher((3, 3)).fit(slice_)
            >>> teacher.drift(slice_).status, teacher.drift(slice_ * 3).status
            ('ok', 'drifted')
        """
        _, slices = self._seen(image, spacing_mm, level)
        found = self._ready.sign(slices, usable_threads())
        return ShownDrift.of(drift_from(self.model, found.signature.drift))

    def level_of(self, images: ImageLike) -> float | None:
        """Return the lesion level of uptake of a scan, in the PET channel's unit; None without PET.

        Args:
            images: (n, c, y, x), (z, y, x) for one channel, or an image object; best the whole scan.

        Raises:
            ShapeError: wrong shape, or no pixel with uptake in the body.

        Example:
            `teacher.predict(one_slice, level=teacher.level_of(volume))`
        """
        reader = ScanReader(self._spec)
        return reader.level_of(reader.stacked(images).images)

    @property
    def model(self) -> TeacherModel:
        """Everything that was fitted, as plain numbers.

        Raises:
            ShapeError: if nothing was fitted yet.
        """
        return self._ready.model

    @property
    def classes(self) -> dict[int, str]:
        """Class number to name."""
        return dict(self.model.class_names)

    @property
    def node_classes(self) -> NDArray[np.uint8]:
        """Class number of each node, (k,) uint8, row by row of the grid."""
        return self.model.node_classes

    @property
    def doubtful(self) -> dict[str, str]:
        """Classes that must be read with care, with the reason."""
        return dict(self.model.doubtful)

    @property
    def codebook(self) -> ShownCodebook:
        """The fitted map, in standardised and weighted features (not in the samples' units)."""
        return ShownCodebook.of(self.model.codebook)

    def __repr__(self) -> str:
        return self._card.text()

    def _repr_html_(self) -> str:
        """Show class map, map of nodes and classes in a notebook."""
        return self._card.html()

    @property
    def _card(self) -> TeacherCard:
        """What people see of it."""
        return TeacherCard(self._spec, self._transfer, self._shown)

    @property
    def _ready(self) -> Transfer:
        if self._transfer is None:
            raise ShapeError("the teacher is not fitted yet: call fit(image) first")
        return self._transfer

    def _seen(
        self, image: ImageLike, spacing_mm: Sequence[float] | None, level: float | None
    ) -> tuple[SliceStack, ScanSlices]:
        """Take slices as their scan's, at its own level where they tell one and none is given, denoised."""
        ready, reader = self._ready, ScanReader(self._spec)
        told = reader.checked_level(level)
        stack, spacing = reader.read(image, spacing_mm)
        if told is None and len(stack.images) > 1:
            told = reader.level_of(stack.images)
        return stack, calmed(ready.view, ScanSlices.of(stack.images, spacing, told))


def _flags(classes: Mapping[int, str]) -> dict[str, object]:
    """Name class numbers as the CF conventions do (flag_values and flag_meanings)."""
    named = {0: "no data", **classes}
    meanings = " ".join(name.replace(" ", "_") for name in named.values())
    return {"flag_values": list(named), "flag_meanings": meanings}
