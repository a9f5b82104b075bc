"""What a run fitted for one protocol, made ready once to answer as often as it is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.config import ProtocolConfig
from somray.domain.student import StudentModel
from somray.domain.teacher import TeacherModel
from somray.errors import ConfigError, ShapeError
from somray.io.run import StoredRun
from somray.kernels.features.uptake_level import has_level
from somray.kernels.features.view import ScanSlices
from somray.kernels.teacher.apply import SignedLabels, Transfer

__all__ = ["METHODS", "Fitted", "load_fitted"]

METHODS = ("som", "student")

WARM_PIXELS = 48  # side of the picture that compiled loops are woken with


@dataclass(frozen=True, eq=False)
class Fitted:
    """One protocol's teacher and student, and how they are asked.

    Args:
        protocol: its name in the run.
        config: of the run.
        teacher: that was fitted.
        student: that was trained; None where the run has none.
        gpu: whether the student computes on a GPU, where there is one.
    """

    protocol: str
    config: ProtocolConfig
    teacher: TeacherModel
    student: StudentModel | None = None
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
        return METHODS if self.student is not None else METHODS[:1]

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
            raise ShapeError(f"method must be som or student, got {method!r}")
        if method not in self.methods:
            raise ShapeError(
                f"protocol {self.protocol!r} has no student; ask with method=som, or train one"
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
        from somray.kernels.student.predict import device_for, network_of_model

        device = device_for(gpu=self.gpu)
        return network_of_model(self._trained, device), device

    def warm(self) -> None:
        """Wake what is compiled or built at its first use, so that the first answer is as fast as any."""
        from somray.stages.answers.slices import SliceAsked, answer_slice

        side = np.linspace(0, 1, WARM_PIXELS, dtype=np.float32)
        planes = [low + (high - low) * np.add.outer(side, side) / 2 for low, high in self._windows]
        image = np.stack(planes).astype(np.float32)
        sees_planes = self.student is not None and not self.student.sees_volumes
        if self.teacher.dimensions == 3:
            self.labels(ScanSlices(image[None], (1.0, 1.0), None, spacing_z_mm=1.0))
            if sees_planes:
                self.chance(image[None], (1.0, 1.0))
            return
        for method in METHODS if sees_planes else METHODS[:1]:
            answer_slice(self, SliceAsked(image, self.teacher.spacing_mm, method=method))

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
    return Fitted(protocol, known[protocol], teacher, run.student(protocol), gpu)
