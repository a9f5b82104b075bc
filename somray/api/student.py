"""`somray.Student`: the compact U-Net on its own, for scripts and notebooks."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

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

    Images go in as they are (HU, SUV, counts): (y, x) or (n, y, x) for one channel, (c, y, x) or
    (n, c, y, x) for several; NaN means no data. A channel named CT, PET, MR or XCT gets that
    modality's window unless `intensity` gives one.

    Args:
        channels: how many, or their names.
        intensity: channel to {"window": [low, high]} as in the YAML; chosen from the images of the
            first fit otherwise. Its keys name the channels where `channels` is their number.
        seed: of initial weights and sampling.
        seconds: time to train for, 60 where neither it nor `steps` is given; how far that gets
            depends on the machine.
        steps: optimizer steps instead, which gives the same bits on the same number of threads.
        spacing_mm: (y, x) distance of pixel centres.

    Example:
        >>> student = Student(channels=1, steps=5).fit(images, masks)
        >>> student.predict_proba(images).shape == masks.shape
        True
    """

    def __init__(
        self,
        channels: int | Sequence[str] = 1,
        intensity: Mapping[str, Mapping[str, object]] | None = None,
        seed: int = 0,
        seconds: float | None = None,
        steps: int | None = None,
        *,
        spacing_mm: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        if seconds is not None and steps is not None:
            raise ConfigError("give seconds or steps, not both")
        if (seconds is not None and not seconds > 0) or (steps is not None and steps < 1):
            raise ConfigError(f"seconds and steps must be positive, got {seconds} and {steps}")
        self._channels = _names(channels, intensity or {})
        self._given = _windows(self._channels, intensity or {})
        self._seed, self._steps = int(seed), steps
        self._seconds = SECONDS if seconds is None and steps is None else seconds
        self._spacing = (float(spacing_mm[0]), float(spacing_mm[1]))
        self._model: StudentModel | None = None

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

    def fit(
        self,
        images: NDArray[Any],
        masks: NDArray[np.bool_],
        start: "Student | None" = None,
    ) -> Self:
        """Learn the masks; pixels without data do not count.

        Args:
            images: (n, c, y, x) or (n, y, x) values.
            masks: (n, y, x) bool.
            start: a fitted student to go on from, with the same channels.

        Returns:
            Itself.

        Raises:
            ShapeError: shapes do not fit, no pixel has data, or `start` has other channels.
        """
        began = time.perf_counter()
        stack = self._slices(images)
        target = np.asarray(masks).astype(bool)
        target = target[None] if target.ndim == 2 else target
        if target.shape != (len(stack), *stack.shape[2:]):
            raise ShapeError(f"masks must be {(len(stack), *stack.shape[2:])}, got {target.shape}")
        known = np.asarray(~np.isnan(stack).any(axis=1))
        if not known.any():
            raise ShapeError("no pixel of the images has data in every channel")
        spec = self._spec(stack, start)
        planes = target.astype(np.float32), known.astype(np.float32)
        lessons = [Lesson(*parts) for parts in zip(stack, *planes, strict=True)]
        module = self._learned(lessons, spec, start, began)
        self._model = student_of(spec, unet_weights(module), {"seconds_given": self._seconds})
        return self

    def predict_proba(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Return the target's probability, (n, y, x) float32 in [0, 1], 0 where there is no data."""
        return predict_student(self.model, self._slices(images), threads=usable_threads())

    def _slices(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """Bring images to (n, c, y, x) float32."""
        array, count = np.asarray(images, dtype=np.float32), len(self._channels)
        if array.ndim == 2:
            array = array[None]
        if array.ndim == 3:
            array = array[:, None] if count == 1 else array[None]
        if array.ndim != 4 or array.shape[1] != count or array.size == 0:
            raise ShapeError(
                f"images must be (n, {count}, y, x) for channels {self._channels}, "
                f"got {np.shape(images)}"
            )
        return array

    def _spec(self, stack: NDArray[np.float32], start: "Student | None") -> StudentSpec:
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
            spacing_mm=self._spacing,
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
    channels: int | Sequence[str], intensity: Mapping[str, Mapping[str, object]]
) -> tuple[str, ...]:
    """Name the channels: as given, by the keys of `intensity`, or by number."""
    if not isinstance(channels, int):
        names = (channels,) if isinstance(channels, str) else tuple(channels)
    elif len(intensity) == channels:
        names = tuple(intensity)
    else:
        names = tuple(f"channel{number}" for number in range(1, channels + 1))
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"channels must be at least one and differ, got {channels!r}")
    for name in intensity:
        if name not in names:
            raise ConfigError(f"intensity names channel {name!r}; channels are {names}")
    return names


def _windows(
    channels: tuple[str, ...], intensity: Mapping[str, Mapping[str, object]]
) -> tuple[tuple[float, float] | None, ...]:
    """Read each channel's window; None where it is to be chosen."""
    windows: list[tuple[float, float] | None] = []
    for name in channels:
        window: Any = intensity.get(name, {}).get("window", "auto")
        if isinstance(window, str):
            windows.append(None)
            continue
        low, high = (float(v) for v in window)
        if not low < high:
            raise ConfigError(f"intensity.{name}.window must be [low, high], got {window}")
        windows.append((low, high))
    return tuple(windows)
