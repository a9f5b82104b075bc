"""`somray.Student`: the compact U-Net on its own, for scripts and notebooks."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from somray.api.inputs.image import ImageLike
from somray.api.inputs.mask import mask_of
from somray.api.inputs.spacing import checked_lengths, spacing_of
from somray.api.inputs.stack import stack_of
from somray.api.settings import windows_of
from somray.api.shown.student import StudentCard
from somray.api.threads import usable_threads
from somray.domain.channel import Channel, kinds_of
from somray.domain.student import StudentModel
from somray.errors import ConfigError, ShapeError
from somray.kernels.features.windows import auto_window
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import UNet, build_unet, unet_weights
from somray.kernels.student.predict import predict_student
from somray.kernels.student.rounds.constant import make_constant
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.spec import StudentSpec, new_unet_of, student_of
from somray.kernels.student.spacing import at_shape, shape_at
from somray.kernels.student.training.loop import train_network
from somray.kernels.student.training.patches import Example
from somray.kernels.student.training.schedule import TrainingHooks

__all__ = ["Student"]

SECONDS = 60.0
MOST_STEPS = 2000
"""Steps that a time budget is never spent beyond: by then nothing moves."""
MODALITIES = ("CT", "PET", "MR", "XCT")


class Student:
    """A compact U-Net that learns a mask from a few labelled slices.

    Images go in as they are (HU, SUV, counts), in whatever form `somray.Teacher` takes them: (y, x) or
    (n, y, x) for one channel, (c, y, x) or (n, c, y, x) for several, or image objects; NaN means no data. A channel
    named CT, PET, MR or XCT gets that modality's window unless `intensity` gives one.

    Args:
        channels: how many, or their names.
        intensity: channel to {"window": [low, high]} as in the YAML; chosen from the images of the
            first fit otherwise. Its keys name the channels where `channels` is their number.
        seed: of initial weights and sampling.
        seconds: time to train for, 60 where neither it nor `steps` is given; how far that gets
            depends on the machine.
        steps: optimizer steps instead, which gives the same bits on the same number of threads.
        spacing_mm: (y, x) distance of pixel centres; that of the images where left out, 1 mm where they name none.

    Raises:
        ConfigError: settings that are not usable, or contradict each other.

    Example:
        >>> import numpy as np, somray
        >>> images = np.random.default_rng(0).normal(40, 5, (2, 24, 28))
        >>> images[:, 6:16, 8:21] += 40
        >>> student = somray.Student(channels=1, steps=5).fit(images, images > 60)
        >>> student.predict_proba(images).shape
        (2, 24, 28)

    Source: O. Ronneberger et al., "U-Net", MICCAI 2015.
    """

    def __init__(
        self,
        channels: int | Sequence[str] = 1,
        intensity: Mapping[str, Mapping[str, object]] | None = None,
        seed: int = 0,
        seconds: float | None = None,
        steps: int | None = None,
        *,
        spacing_mm: Sequence[float] | None = None,
    ) -> None:
        if seconds is not None and steps is not None:
            raise ConfigError("give seconds or steps, not both")
        for name, budget in (("seconds", seconds), ("steps", steps)):
            if budget is not None and not (_is_number(budget) and budget > 0):
                raise ConfigError(f"{name} must be a positive number, got {budget!r}")
        self._channels = _names(channels, intensity)
        self._given = windows_of(self._channels, intensity)
        self._seed, self._steps = int(seed), steps
        self._seconds = SECONDS if seconds is None and steps is None else seconds
        self._spacing = None if spacing_mm is None else checked_lengths(spacing_mm, (2,))
        self._model: StudentModel | None = None
        self._shown: tuple[NDArray[np.float32], NDArray[np.bool_]] | None = None

    @property
    def model(self) -> StudentModel:
        """What was learned, as plain numbers; the next fit replaces it.

        Raises:
            ShapeError: before the first fit.
        """
        if self._model is None:
            raise ShapeError("this student knows nothing yet: call fit(images, masks) first")
        return self._model

    @property
    def module(self) -> UNet:
        """The torch network; it eats the views (`kernels.student.views`) of a slice and gives logits."""
        return build_unet(self.model.network, self.model.weights)

    def fit(self, images: ImageLike, masks: ImageLike, start: "Student | None" = None) -> Self:
        """Learn the masks; pixels without data do not count.

        Args:
            images: (n, c, y, x) or (n, y, x) values, or an image object.
            masks: (n, y, x) bool, or numbers of any type that are 0 outside and one other value inside.
            start: a fitted student to go on from, with the same channels.

        Returns:
            Itself.

        Raises:
            ShapeError: shapes do not fit, no pixel has data, masks that are no masks, a spacing that contradicts
                the images' own, or `start` has other channels.

        Example:
            >>> import numpy as np, somray
            >>> images = np.random.default_rng(0).normal(40, 5, (2, 24, 28))
            >>> labels = np.zeros(images.shape, "int16")
            >>> labels[:, 6:16, 8:21] = 1
            >>> _ = somray.Student(steps=2).fit(images, labels)
        """
        began = time.perf_counter()
        given = stack_of(images, self._channels, "images")
        stack, target = given.images, mask_of(masks, "masks")[0]
        spacing = spacing_of(given.given, self._spacing, (2,), "images") or (1.0, 1.0)
        target = target[None] if target.ndim == 2 else target
        if target.shape != (len(stack), *stack.shape[2:]):
            raise ShapeError(
                f"masks must be {(len(stack), *stack.shape[2:])} for these images, one (y, x) for each slice; got "
                f"{target.shape}"
            )
        known = np.asarray(~np.isnan(stack).any(axis=1))
        if not known.any():
            raise ShapeError("no pixel of the images has data in every channel: all are NaN")
        if np.isinf(stack).any():
            raise ShapeError("images hold infinite values; mark pixels without data as NaN")
        spec = self._spec(stack, start, spacing)
        planes = target.astype(np.float32), known.astype(np.float32)
        lessons = [Lesson(*parts) for parts in zip(stack, *planes, strict=True)]
        module = self._learned(lessons, spec, start, began)
        self._model = student_of(spec, unet_weights(module), {"seconds_given": self._seconds})
        best = int(np.argmax(target.sum(axis=(1, 2))))
        self._shown = stack[best].copy(), target[best].copy()  # what a notebook shows
        return self

    def predict_proba(
        self, images: ImageLike, spacing_mm: Sequence[float] | None = None
    ) -> NDArray[np.float32]:
        """Return the target's probability.

        Args:
            images: (n, c, y, x) or (n, y, x) values, a slice of them, or an image object.
            spacing_mm: distance between pixels in mm along (y, x) or (z, y, x); where left out the images' own, that
                of the fit where they name none. Slices of another pixel size are seen at that of the fit.

        Returns:
            (n, y, x) float32 in [0, 1], 0 where there is no data; (1, y, x) for one slice. An
            xarray.DataArray for one of several slices.

        Raises:
            ShapeError: nothing was learned yet, wrong shape, or a spacing that contradicts the images' own.

        Example:
            `student.predict_proba(volume) >= 0.5` is the mask.
        """
        model, given = self.model, stack_of(images, self._channels, "images")
        spacing = spacing_of(given.given, spacing_mm, (2, 3), "images") or model.spacing_mm
        found = _chances(model, given.images, (spacing[-2], spacing[-1]))
        chances: NDArray[np.float32] = (
            found if given.is_one else given.dressed(found, "probability")
        )
        return chances

    def __repr__(self) -> str:
        return StudentCard(self._channels, self._model, None).text()

    def _repr_html_(self) -> str:
        """Show what it learned from, and what it finds there."""
        if self._model is None or self._shown is None:
            return StudentCard(self._channels, self._model, None).html()
        found = predict_student(self._model, self._shown[0][None], threads=usable_threads())[0]
        return StudentCard(self._channels, self._model, (*self._shown, found)).html()

    def _spec(
        self, stack: NDArray[np.float32], start: "Student | None", spacing_mm: tuple[float, ...]
    ) -> StudentSpec:
        if start is not None and not isinstance(start, Student):
            raise ShapeError(f"start must be a Student, got {type(start).__name__}")
        if start is not None and start.model.channels != self._channels:
            raise ShapeError(f"start has channels {start.model.channels}, not {self._channels}")
        channels = tuple(
            Channel(name, name if name in MODALITIES else "other") for name in self._channels
        )
        windows = tuple(
            window or auto_window(stack[:, c], channel.kind, channel)
            for c, (channel, window) in enumerate(zip(channels, self._given, strict=True))
        )
        return StudentSpec(
            channels=self._channels,
            kinds=kinds_of(channels),
            windows=windows if start is None else start.model.windows,
            steps=self._steps or MOST_STEPS,
            threads=usable_threads(),
            seed=self._seed,
            spacing_mm=(spacing_mm[-2], spacing_mm[-1]),
        )

    def _learned(
        self, lessons: list[Lesson], spec: StudentSpec, start: "Student | None", began: float
    ) -> UNet:
        """Train a network; masks with one side only make a constant one."""
        inside = np.concatenate([lesson.mask[lesson.known] for lesson in lessons])
        module = new_unet_of(spec)
        if start is None and (inside.all() or not inside.any()):
            make_constant(module, inside=bool(inside.all()))
            return module
        if start is not None:
            module = build_unet(start.model.network, start.model.weights)
        views = spec.views()
        examples = [Example(le.values, le.target, le.weight, views) for le in lessons]
        with deterministic(spec.threads):
            hooks = self._hooks(began)
            train_network(module, examples, spec.schedule(0), (spec.seed,), hooks=hooks)
        return module

    def _hooks(self, began: float) -> TrainingHooks:
        """Count the time since the call, where there is a budget."""
        seconds = self._seconds
        if seconds is None:
            return TrainingHooks()
        return TrainingHooks(spent=lambda: (time.perf_counter() - began) / seconds)


def _names(
    channels: int | Sequence[str], intensity: Mapping[str, Mapping[str, object]] | None
) -> tuple[str, ...]:
    """Name the channels: as given, by the keys of `intensity`, or by number."""
    if isinstance(channels, bool) or not isinstance(channels, int | str | Sequence):
        raise ConfigError(f"channels must be how many, or their names; got {channels!r}")
    if not isinstance(channels, int):
        names = (channels,) if isinstance(channels, str) else tuple(channels)
    elif isinstance(intensity, Mapping) and len(intensity) == channels:
        names = tuple(intensity)
    else:
        names = tuple(f"channel{number}" for number in range(1, channels + 1))
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"channels must be at least one and differ, got {channels!r}")
    return names


def _is_number(value: Any) -> bool:  # Any: whatever a person typed
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _chances(
    model: StudentModel, images: NDArray[np.float32], spacing_mm: tuple[float, float]
) -> NDArray[np.float32]:
    """Predict slices (n, c, y, x) at the pixel size of the fit, as a run does, and bring it back."""
    own = (images.shape[2], images.shape[3])
    shape = shape_at(own, spacing_mm, model.spacing_mm)
    if shape == own:
        return predict_student(model, images, threads=usable_threads())
    seen = np.stack([at_shape(image, shape) for image in images])
    found = at_shape(predict_student(model, seen, threads=usable_threads()), own)
    return np.where(np.isnan(images).any(axis=1), np.float32(0), found)
