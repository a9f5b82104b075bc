"""How a protocol looks at pixels: windows, features and scale, whichever slice they come from.

A view is fixed when a teacher is fitted and holds for every scan afterwards. What a scan may differ in is
told beside it: its spacing, and for PET its own level of uptake.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of, kinds_of
from somray.domain.teacher import TeacherModel
from somray.errors import ShapeError
from somray.kernels.features.slab import slab_features
from somray.kernels.features.spacing import feature_stack_at, interpolated
from somray.kernels.grids.pixel_size import brought_to_spacing, has_other_spacing
from somray.kernels.noise.denoise import calmed_plane

__all__ = ["FeatureView", "ScanSlices", "calmed", "carried_view", "gather", "stacks", "view_of"]

Window = tuple[float, float]


@dataclass(frozen=True)
class FeatureView:
    """What decides a pixel's features.

    Args:
        modality: CT, PET, PETCT, MR, XCT or other.
        channels: names in image order.
        windows: per channel (low, high) in the image's values.
        features: names of the features of each channel.
        spacing_mm: (y, x) that features are scaled to.
        level: lesion level of uptake that PET's windows belong to, None without PET.
        dimensions: 2, or 3 where features look at the neighbouring slices too.
        denoise: auto, none or nlm.
        noise: per channel that of the reference, () for a channel that is left alone.
    """

    modality: str
    channels: tuple[str, ...]
    windows: tuple[Window, ...]
    features: tuple[str, ...]
    spacing_mm: tuple[float, float]
    level: float | None = None
    dimensions: int = 2
    denoise: str = "none"
    noise: tuple[tuple[float, ...], ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each channel measures."""
        return kinds_of(channels_of(self.modality, self.channels))

    @property
    def fitting(self) -> "FeatureView":
        """How the reference is looked at: `auto` leaves it as it is, so that fits of any extent agree."""
        return replace(self, denoise="none") if self.denoise == "auto" else self

    def windows_at(self, level: float | None) -> tuple[Window, ...]:
        """Return the windows for a subject: PET's follows the subject's own level of uptake."""
        if level is None or self.level is None:
            return self.windows
        if not (np.isfinite(level) and level > 0):
            raise ShapeError(f"level must be a positive uptake, got {level}")
        ratio = level / self.level
        return tuple(
            (low * ratio, high * ratio) if kind == "PET" else (low, high)
            for kind, (low, high) in zip(self.kinds, self.windows, strict=True)
        )


def carried_view(previous: TeacherModel, chosen: FeatureView, *, refit: bool) -> FeatureView:
    """Return the view of an earlier teacher, denoising as `chosen` does.

    What counts as noisy is told by the reference that the nodes were fitted on: the earlier one, or with
    `refit` (and where the earlier one is not known) the one that `chosen` is of.
    """
    noise = chosen.noise if refit else previous.noise or chosen.noise
    return replace(view_of(previous), denoise=chosen.denoise, noise=noise)


def view_of(model: TeacherModel) -> FeatureView:
    """Return the view that a teacher was fitted with."""
    return FeatureView(
        modality=model.modality,
        channels=model.channels,
        windows=model.windows,
        features=model.features,
        spacing_mm=model.spacing_mm,
        level=model.extra.get("subject_level"),
        dimensions=model.dimensions,
        denoise=model.denoise,
        noise=model.noise,
    )


@dataclass(frozen=True, eq=False)
class ScanSlices:
    """Slices of one scan, with what they may differ in from the protocol's others.

    Args:
        images: (n, c, y, x) physical values, NaN where there is no data.
        spacing_mm: (y, x).
        level: lesion level of uptake of their scan, where a channel is PET.
        context: how many leading and trailing slices are only looked at; for three dimensions.
        spacing_z_mm: distance between the slices, which are then consecutive; for three dimensions.
        is_calm: whether they were denoised already, as far as their teacher asks for.
    """

    images: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    level: float | None = None
    context: tuple[int, int] = (0, 0)
    spacing_z_mm: float | None = None
    is_calm: bool = False

    @classmethod
    def of(
        cls, images: NDArray[np.float32], spacing_mm: Sequence[float], level: float | None = None
    ) -> "ScanSlices":
        """Take slices with their spacing as (y, x) or (z, y, x)."""
        if len(spacing_mm) not in (2, 3):
            raise ShapeError(f"spacing_mm must be (y, x) or (z, y, x), got {spacing_mm}")
        y, x = (float(s) for s in spacing_mm[-2:])
        z = float(spacing_mm[0]) if len(spacing_mm) == 3 else None
        return cls(images, (y, x), level, spacing_z_mm=z)

    @property
    def inner(self) -> tuple[int, int]:
        """First slice that counts, and the one after the last.

        Raises:
            ShapeError: the context leaves none.
        """
        first, last = self.context[0], len(self.images) - self.context[1]
        if min(self.context) < 0 or first >= last:
            raise ShapeError(f"context {self.context} leaves none of {len(self.images)} slices")
        return first, last


def calmed(view: FeatureView, slices: ScanSlices) -> ScanSlices:
    """Denoise slices that need it, each by itself; those of a quiet scan are returned as they are.

    Args:
        view: of the protocol, with what it asks for and the reference's noise.
        slices: of one scan; they stay untouched.

    Cost: a pass over every plane; a copy of the slices and 48 passes over a plane where one is noisy.
    """
    if slices.is_calm or view.denoise == "none":
        return slices
    given = slices.images.astype(np.float32, copy=False)
    images, spacing = given, (slices.spacing_mm, view.spacing_mm)
    heard = [c for c, noise in enumerate(view.noise) if noise]
    for n, image in enumerate(given):
        for c in heard:
            known = view.noise[c] if view.denoise == "auto" else None
            calm = calmed_plane(image[c], view.windows[c], known, spacing)
            if calm is not None:
                images = images.copy() if images is given else images
                images[n, c] = calm
    return replace(slices, images=images, is_calm=True)


def stacks(view: FeatureView, slices: ScanSlices) -> Iterator[NDArray[np.float32]]:
    """Compute the features (c·f, y, x) of each slice that counts; NaN where its channel is NaN.

    Raises:
        ShapeError: three dimensions are asked for and the spacing along z is not told.
    """
    slices = calmed(view, slices)
    if view.dimensions == 3:
        yield from _slab_stacks(view, slices)
        return
    windows = view.windows_at(slices.level)
    for image in slices.images[slice(*slices.inner)]:
        yield feature_stack_at(image, windows, view.features, slices.spacing_mm, view.spacing_mm)


def _slab_stacks(view: FeatureView, slices: ScanSlices) -> Iterator[NDArray[np.float32]]:
    """Compute features that see the neighbouring slices, at the reference's pixel size."""
    if slices.spacing_z_mm is None:
        raise ShapeError("features of three dimensions need spacing_z_mm, the slices' distance")
    own = slices.spacing_mm
    seen = list(slices.images)
    step, shape = own, slices.images.shape[2:]
    if has_other_spacing(own, view.spacing_mm):
        brought = [
            [brought_to_spacing(np.ascontiguousarray(p), own, view.spacing_mm) for p in image]
            for image in seen
        ]
        seen = [np.stack([plane for plane, _ in image]) for image in brought]
        step = (float(brought[0][0][1][0]), float(brought[0][0][1][1]))
    block = np.stack(seen, axis=1)  # (c, z, y, x)
    windows, spacing = view.windows_at(slices.level), (slices.spacing_z_mm, *step)
    found = slab_features(block, windows, view.features, spacing, slices.inner)
    for image, stack in zip(slices.images[slice(*slices.inner)], found, strict=True):
        if stack.shape[1:] != shape:
            stack = interpolated(np.nan_to_num(stack, copy=False), (shape[0], shape[1]))
        stack.reshape(len(image), -1, *shape)[:, :, ~np.isfinite(image).all(axis=0)] = np.nan
        yield stack


def gather(view: FeatureView, slices: ScanSlices) -> NDArray[np.float32]:
    """Compute the raw features of every pixel that has data in all channels.

    Args:
        view: of the protocol.
        slices: of one scan.

    Returns:
        (c·f, n) float32, slice by slice, row by row.
    """
    images = slices.images[slice(*slices.inner)]
    parts = [
        stack[:, np.isfinite(image).all(axis=0)]
        for image, stack in zip(images, stacks(view, slices), strict=True)
    ]
    return np.concatenate(parts, axis=1)
