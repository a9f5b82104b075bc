"""What the steps of a pretraining learn from: patches, masks, answers, and the loss of a few pixels under masks."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from somray.kernels.pretrain.masking import MaskedReader
from somray.kernels.pretrain.patches import Patches, PatchSampler
from somray.kernels.pretrain.piece import NO_NODE
from somray.kernels.pretrain.spec import PretrainSpec
from somray.kernels.pretrain.targets import Question, class_loss, number_loss
from somray.kernels.student.training.loop import average_over
from somray.kernels.student.training.schedule import ProcessGroup

__all__ = ["ASKED", "MaskedLessons"]

ASKED = 4096
"""Pixels of each patch that are asked about in a step, of those under masks: more tell little more of one patch."""

Drawn = tuple[Patches, torch.Tensor]
"""Patches, and their inputs where a device can fetch them."""


@dataclass(eq=False)
class MaskedLessons:
    """What steps learn from, and what an epoch's row tells beside its loss; see `TrainingCourse`.

    Args:
        reader: the network.
        target: what it is asked.
        sampler: of pieces.
        spec: what to pretrain.
        group: this worker among the others.
        right: answers of the epoch so far, right and asked.
        pixels: that all workers looked at in it.
        ahead: draws for a step that has not begun.
        next: what it draws.
    """

    reader: MaskedReader
    target: Question
    sampler: PatchSampler
    spec: PretrainSpec
    group: ProcessGroup
    right: list[torch.Tensor] = field(default_factory=list)
    pixels: int = 0
    ahead: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    next: Future[Drawn] | None = None

    def begin(self, seed: tuple[int, ...]) -> None:
        """Choose an epoch's pieces."""
        self.finish()
        self.sampler.begin(seed)
        self.right, self.pixels = [], 0

    def loss(self) -> torch.Tensor:
        """Draw patches and return the loss under their masks."""
        patches, inputs = self._drawn()
        self.pixels += patches.masked.size * self.group.world
        answers = self.target.answers(patches, self.sampler.rng)
        places = self._places(patches, answers)
        device = self.group.device
        inputs = inputs.to(device, non_blocking=True)
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        wanted = answers[places].to(device, non_blocking=True)
        masked = torch.from_numpy(patches.masked).to(device, non_blocking=True)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=self.group.bf16):
            said = self.reader(inputs, masked, places.to(device, non_blocking=True))
        said = [part.float() for part in said]
        if not self.target.is_class:
            return number_loss(said[0], wanted)
        loss, right = class_loss(said, wanted)
        self.right.append(right)
        return loss

    def finish(self) -> None:
        """Wait for what is being drawn, and forget it."""
        if self.next is not None:
            self.next.result()
            self.next = None

    def _drawn(self) -> Drawn:
        """Draw patches; for another device those of the next step are drawn while it computes."""
        if self.group.device == "cpu":
            return self._draw()
        found = self.next or self.ahead.submit(self._draw)
        drawn = found.result()
        self.next = self.ahead.submit(self._draw)
        return drawn

    def _draw(self) -> Drawn:
        patches = self.sampler.draw(max(1, self.spec.batch // self.group.world))
        inputs = torch.from_numpy(patches.inputs)
        return patches, inputs if self.group.device == "cpu" else inputs.pin_memory()

    def _places(self, patches: Patches, answers: torch.Tensor) -> torch.Tensor:
        """Choose pixels that are masked, have data and an answer: a few of each patch."""
        unknown = (answers == NO_NODE) if self.target.is_class else answers.isnan()
        told = (~unknown.all(1)).numpy().reshape(len(patches.masked), -1)
        may = patches.masked.reshape(told.shape) & patches.known.reshape(told.shape) & told
        found = []
        for number, pixels in enumerate(may):
            own = np.flatnonzero(pixels)
            if len(own) > ASKED:
                own = np.sort(self.sampler.rng.permutation(own)[:ASKED])
            found.append(own + number * pixels.size)
        return torch.from_numpy(np.concatenate(found))

    def facts(self) -> dict[str, Any]:
        """Return the share of right answers and the pixels that were looked at."""
        accuracy = None
        if self.right:
            told = torch.stack(self.right).double().sum(0)
            average_over([told], self.group)
            accuracy = float(told[0] / told[1].clamp_min(1))
        return {"accuracy": accuracy, "pixels": self.pixels}
