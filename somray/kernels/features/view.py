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
from somray.kernels.features.gain import gain_between, has_gain
from somray.kernels.features.piece import Piece, channel_of_piece, seen_patch, write_piece
from somray.kernels.features.slab import slab_features
from somray.kernels.features.spacing import ChannelView, feature_stack_at, interpolated, seen_box
from somray.kernels.features.table import plan_of
from somray.kernels.grids.patch import Patch
from somray.kernels.grids.pixel_size import brought_to_spacing, has_other_spacing, raster_of
from somray.kernels.noise.denoise import calm, calmed_plane

__all__ = [
    "FeatureView",
    "ScanSlices",
    "calmed",
    "carried_view",
    "channels_of_pieces",
    "gather",
    "stacks",
    "view_of",
]

Window = tuple[float, float]
Spacing = tuple[float, float]


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
        """Return the windows for a scan: PET's follows the subject's own level of uptake, MR's the scan's gain."""
        if level is None or self.level is None:
            return self.windows
        if not (np.isfinite(level) and level > 0):
            raise ShapeError(f"level must be a positive uptake, got {level}")
        ratio = level / self.level
        if has_gain(channels_of(self.modality, self.channels)):
            ratio = gain_between(level, self.level)
        return tuple(
            (low * ratio, high * ratio) if kind in ("PET", "MR") else (low, high)
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
        piece: where the images lie in slices that are larger; None for whole slices.
    """

    images: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    level: float | None = None
    context: tuple[int, int] = (0, 0)
    spacing_z_mm: float | None = None
    is_calm: bool = False
    piece: Piece | None = None

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

    @property
    def counted(self) -> NDArray[np.float32]:
        """The pixels that count, (n, c, y, x)."""
        images = self.images[slice(*self.inner)]
        return images if self.piece is None else images[(..., *self.piece.inside)]


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
    images = given
    for n, image in enumerate(given):
        for c, noise in enumerate(view.noise):
            plane = _calm_plane(view, slices, (n, c), image[c]) if noise else None
            if plane is not None:
                images = images.copy() if images is given else images
                images[n, c] = plane
    return replace(slices, images=images, is_calm=True)


def _calm_plane(
    view: FeatureView, slices: ScanSlices, where: tuple[int, int], plane: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Denoise a channel's plane of slice and channel `where`; None where it is quiet."""
    n, c = where
    if slices.piece is None:
        known = view.noise[c] if view.denoise == "auto" else None
        return calmed_plane(plane, view.windows[c], known, (slices.spacing_mm, view.spacing_mm))
    calming = slices.piece.scales[n][c].calming
    return None if calming is None else calm(np.ascontiguousarray(plane), calming)


def stacks(view: FeatureView, slices: ScanSlices) -> Iterator[NDArray[np.float32]]:
    """Compute the features (c·f, y, x) of each slice that counts; NaN where its channel is NaN.

    Raises:
        ShapeError: three dimensions are asked for and the spacing along z is not told.
    """
    slices = calmed(view, slices)
    if view.dimensions == 3:
        yield from _slab_stacks(view, slices)
        return
    if slices.piece is not None:
        yield from _piece_stacks(view, slices, slices.piece)
        return
    windows = view.windows_at(slices.level)
    for image in slices.images[slice(*slices.inner)]:
        yield feature_stack_at(image, windows, view.features, slices.spacing_mm, view.spacing_mm)


def _piece_stacks(
    view: FeatureView, slices: ScanSlices, piece: Piece
) -> Iterator[NDArray[np.float32]]:
    """Compute the features of parts of slices."""
    plan, (y0, y1, x0, x1) = plan_of(view.features), piece.box
    for channels in channels_of_pieces(view, slices):
        out = np.empty((len(channels), plan.planes, y1 - y0, x1 - x0), dtype=np.float32)
        write_piece(channels, plan, piece.box, out)
        yield out.reshape(-1, y1 - y0, x1 - x0)


def channels_of_pieces(view: FeatureView, slices: ScanSlices) -> Iterator[list[ChannelView]]:
    """Return the channels of each part that counts, as features see them.

    Raises:
        ShapeError: they are whole slices.
    """
    piece, spacing = slices.piece, (slices.spacing_mm, view.spacing_mm)
    if piece is None:
        raise ShapeError("whole slices are no pieces")
    for n in range(*slices.inner):
        yield [
            channel_of_piece(piece.patch(np.ascontiguousarray(plane)), scale, spacing, piece.box)
            for plane, scale in zip(slices.images[n], piece.scales[n], strict=True)
        ]


def _slab_stacks(view: FeatureView, slices: ScanSlices) -> Iterator[NDArray[np.float32]]:
    """Compute features that see the neighbouring slices, at the reference's pixel size."""
    if slices.spacing_z_mm is None:
        raise ShapeError("features of three dimensions need spacing_z_mm, the slices' distance")
    own, piece = slices.spacing_mm, slices.piece or _whole_piece(slices)
    block, step, seen = _seen_block(view, slices, piece)
    windows, spacing = view.windows_at(slices.level), (slices.spacing_z_mm, *step)
    found = slab_features(block, windows, view.features, spacing, slices.inner, seen)
    is_other = has_other_spacing(own, view.spacing_mm)
    for image, planes in zip(slices.counted, found, strict=True):
        stack = planes
        if is_other:
            filled = np.nan_to_num(planes, copy=False)
            stack = interpolated(filled, piece.shape, piece.box, seen.shape)
        holes = ~np.isfinite(image).all(axis=0)
        stack.reshape(len(image), -1, *image.shape[1:])[:, :, holes] = np.nan
        yield stack


def _whole_piece(slices: ScanSlices) -> Piece:
    """Take whole slices for pieces that know nothing of scales."""
    shape = (slices.images.shape[2], slices.images.shape[3])
    return Piece((0, 0), shape, (0, shape[0], 0, shape[1]), ())


def _seen_block(
    view: FeatureView, slices: ScanSlices, piece: Piece
) -> tuple[NDArray[np.float32], Spacing, Piece]:
    """Return the slices (c, z, y, x) at the reference's pixel size, their spacing, and where they lie there."""
    own, wanted = slices.spacing_mm, view.spacing_mm
    if not has_other_spacing(own, wanted):
        return np.moveaxis(slices.images, 1, 0), own, piece
    raster = raster_of(piece.shape, own, wanted)
    box = seen_box(piece.box, piece.shape, raster.shape)
    blocks, corner = [], (0, 0)
    for n, image in enumerate(slices.images):
        patches = []
        for c, plane in enumerate(image):
            patch = piece.patch(np.ascontiguousarray(plane))
            if piece.scales:
                holes = piece.scales[n][c].has_holes
                patches.append(seen_patch(patch, raster, piece.box, has_holes=holes))
            else:  # its scale is taken from all of it
                patches.append(Patch.whole(brought_to_spacing(patch.pixels, own, wanted)[0]))
        corner = patches[0].corner
        blocks.append(np.stack([patch.pixels for patch in patches]))
    step = (float(raster.step[0]), float(raster.step[1]))
    return np.stack(blocks, axis=1), step, Piece(corner, raster.shape, box, piece.scales)


def gather(view: FeatureView, slices: ScanSlices) -> NDArray[np.float32]:
    """Compute the raw features of every pixel that has data in all channels.

    Args:
        view: of the protocol.
        slices: of one scan.

    Returns:
        (c·f, n) float32, slice by slice, row by row.
    """
    parts = [
        _known(stack, image)
        for image, stack in zip(slices.counted, stacks(view, slices), strict=True)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _known(stack: NDArray[np.float32], image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features (c·f, n) of the pixels (c, y, x) that have data in all channels."""
    there = np.isfinite(image).all(axis=0)
    return stack.reshape(len(stack), -1) if there.all() else stack[:, there]
