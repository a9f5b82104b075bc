"""What a run fitted for one protocol, made ready once to answer as often as it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.config import ProtocolConfig
from somray.domain.segmenter import SegmenterModel
from somray.domain.student import StudentModel
from somray.domain.teacher import TeacherModel
from somray.errors import ConfigError, ShapeError
from somray.io.models import read_segmenter
from somray.io.run import StoredRun
from somray.kernels.features.uptake_level import has_level
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher.apply import SignedLabels, Transfer
from somray.stages.answers.tuned import tuned_slice, tuned_volume
from somray.stages.reading.volume import ScanVolume

__all__ = ["METHODS", "Fitted", "load_fitted"]

METHODS = ("som", "student", "finetuned")

WARM_PIXELS = 48  # side of the picture that compiled loops are woken with


@dataclass(frozen=True, eq=False)
class Fitted:
    """One protocol's teacher, student and segmenter, and how they are asked.

    Args:
        protocol: its name in the run.
        config: of the run.
        teacher: that was fitted.
        student: that was trained; None where the run has none.
        segmenter: that `somray finetune` trained; None where it did not.
        gpu: whether networks compute on a GPU, where there is one.
    """

    protocol: str
    config: ProtocolConfig
    teacher: TeacherModel
    student: StudentModel | None = None
    segmenter: SegmenterModel | None = None
    gpu: bool = False

    @cached_property
    def transfer(self) -> Transfer:
        """The teacher, ready."""
        return Transfer(self.teacher)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names in image order."""
        return self.teacher.channels

    @property
    def target(self) -> str:
        """Name of the class that masks are made of."""
        return self.config.teacher.target

    @property
    def value(self) -> int:
        """Label of the target."""
        return self.teacher.value_of(self.target)

    @property
    def methods(self) -> tuple[str, ...]:
        """What can be asked for."""
        models = {"som": self.teacher, "student": self.student, "finetuned": self.segmenter}
        return tuple(method for method in METHODS if models[method] is not None)

    def sees_volumes(self, method: str) -> bool:
        """Whether a method takes whole volumes on a coarse grid, else slices."""
        models = {"student": self.student, "finetuned": self.segmenter}
        model = models.get(method)
        return model is not None and model.sees_volumes

    @property
    def sees_uptake(self) -> bool:
        """Whether a scan's own level of uptake counts."""
        from somray.domain.channel import channels_of

        return has_level(channels_of(self.teacher.modality, self.channels))

    @property
    def doubts(self) -> dict[str, str]:
        """Classes that must be read with care, with the reason."""
        return dict(self.teacher.doubtful)

    def checked_method(self, method: str) -> str:
        """Return the method.

        Raises:
            ShapeError: there is no such method, or nothing was trained for it.
        """
        if method not in METHODS:
            raise ShapeError(f"method must be {', '.join(METHODS)}, got {method!r}")
        if method not in self.methods:
            what = {"student": "student", "finetuned": "segmenter of `somray finetune`"}[method]
            raise ShapeError(
                f"protocol {self.protocol!r} has no {what}; ask with method=som, or train one"
            )
        return method

    def labels(self, slices: ScanSlices, threads: int = 1) -> SignedLabels:
        """Label slices by direct transfer, and sum up what the teacher sees."""
        return self.transfer.sign(slices, threads)

    def chance(
        self,
        images: NDArray[np.float32],
        spacing_mm: tuple[float, float],
        windows: Sequence[tuple[float, float]] | None = None,
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """Let the student see slices (n, c, y, x) at the pixel size that it learned at.

        Returns:
            (n, y, x) probabilities of the target, 0 where there is no data.
        """
        from somray.kernels.student.predict import chances, views_of  # torch: only here
        from somray.kernels.student.spacing import at_shape, shape_at

        model = self._trained
        own = (images.shape[2], images.shape[3])
        shape = shape_at(own, spacing_mm, model.spacing_mm)
        seen = images if shape == own else np.stack([at_shape(i, shape) for i in images])
        views = views_of(model, tuple(windows) if windows else None)
        network, device = self._network
        with self._alone:
            found = chances(network, seen, views, threads, device, model.temperature)
        chance = np.array(at_shape(found, own))
        chance[np.isnan(images).any(axis=1)] = 0.0
        return chance

    def tuned_chance(
        self, image: NDArray[np.float32], spacing_mm: tuple[float, float], threads: int = 1
    ) -> NDArray[np.float32]:
        """Let the segmenter see one slice (c, y, x); return (y, x) probabilities, 0 where there is no data."""
        with self._alone:
            return tuned_slice(self._segmenter, image, spacing_mm, threads)

    def tuned_volume_chance(self, seen: ScanVolume, threads: int = 1) -> NDArray[np.float32]:
        """Let the segmenter see a time point on its grid; return (z, y, x) probabilities there."""
        with self._alone:
            return tuned_volume(self._segmenter, seen, threads)

    @property
    def tuned(self) -> SegmenterModel:
        """The segmenter.

        Raises:
            ShapeError: there is none.
        """
        if self.segmenter is None:
            raise ShapeError(f"protocol {self.protocol!r} has no segmenter")
        return self.segmenter

    @cached_property
    def device(self) -> str:
        """Where networks compute."""
        from somray.kernels.student.predict import device_for  # torch: only here

        return device_for(gpu=self.gpu)

    @property
    def _trained(self) -> StudentModel:
        if self.student is None:
            raise ShapeError(f"protocol {self.protocol!r} has no student")
        return self.student

    @cached_property
    def _alone(self) -> Lock:
        """Held while the network works: torch's settings are the process's own."""
        return Lock()

    @cached_property
    def _network(self) -> tuple[Any, str]:  # Any: a network; the type would import torch
        from somray.kernels.student.predict import network_of_model

        return network_of_model(self._trained, self.device), self.device

    @cached_property
    def _segmenter(self) -> Any:  # Any: a network at work; the type would import torch
        from somray.kernels.pretrain.segmenter import SegmenterAtWork

        return SegmenterAtWork(self.tuned, self.device)

    def warm(self) -> None:
        """Wake what is compiled or built at its first use, so that the first answer is as fast as any."""
        from somray.stages.answers.slices import SliceAsked, answer_slice

        side = np.linspace(0, 1, WARM_PIXELS, dtype=np.float32)
        planes = [low + (high - low) * np.add.outer(side, side) / 2 for low, high in self._windows]
        image = np.stack(planes).astype(np.float32)
        asked = [method for method in self.methods if not self.sees_volumes(method)]
        if self.teacher.dimensions == 2:
            for method in asked:
                answer_slice(self, SliceAsked(image, self.teacher.spacing_mm, method=method))
            return
        self.labels(ScanSlices(image[None], (1.0, 1.0), None, spacing_z_mm=1.0))
        if "student" in asked:
            self.chance(image[None], (1.0, 1.0))
        if "finetuned" in asked:
            self.tuned_chance(image, (1.0, 1.0))

    @property
    def _windows(self) -> tuple[tuple[float, float], ...]:
        return self.transfer.view.windows_at(None)


def load_fitted(run: StoredRun, protocol: str, *, gpu: bool = False) -> Fitted:
    """Read what a run fitted for a protocol.

    Raises:
        ConfigError: the run has no such protocol, or nothing was fitted for it yet.
        StoreError: a model cannot be read.
    """
    known = run.config.protocols
    if protocol not in known:
        raise ConfigError(f"protocol {protocol!r}: the run has {', '.join(known)}")
    teacher = run.teacher(protocol)
    if teacher is None:
        raise ConfigError(
            f"{run.root}: protocol {protocol!r} has no teacher yet; let the run finish"
        )
    has_segmenter = "segmenter" in run.model_info(protocol)
    segmenter = read_segmenter(run.storage, protocol) if has_segmenter else None
    return Fitted(protocol, known[protocol], teacher, run.student(protocol), segmenter, gpu)
