"""Pretrain a protocol's encoder on the shards of its scans."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from somray.config import PretrainConfig
from somray.domain.run import RunLayout
from somray.domain.tables import PretrainingRow
from somray.domain.teacher import TeacherModel
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.errors import DataError, ShapeError
from somray.io import models
from somray.io.storage import Storage
from somray.kernels.pretrain.spec import PretrainSpec, Size
from somray.kernels.student.views import Window
from somray.stages.pretrain.shards import view_for
from somray.stages.pretrain.source import ScanShards, ShardSource
from somray.stages.pretrain.training import EncoderTraining
from somray.stages.training import TrainingShared, weights_digest

__all__ = ["PretrainItem", "needs", "run", "step_work"]

PATCHES: Mapping[int, tuple[int, int]] = {2: (64, 8), 3: (32, 4)}
"""By dimensions: side of a patch, and of a masked block, where the configuration leaves them out."""
WORK_BYTES: Mapping[Size, int] = {"small": 700 * MIB, "middle": 2500 * MIB, "large": 8000 * MIB}
"""Weights, their moments and average, and what a step of four patches of 32 × 32 × 32 takes."""
STEP_PIXELS = 4 * 32**3
LONGER = 8.0
"""Times that a step of the next larger network takes."""


@dataclass(frozen=True)
class PretrainItem:
    """What a protocol's encoder learns from.

    Args:
        root: path or URL of the run.
        protocol: name of the protocol.
        config: what to pretrain, for how long.
        scans: whose shards stand.
        subjects: of how many subjects they are.
        seed: of initial weights, masks and sampling.
        digest: of everything that decides the result; names the checkpoints.
    """

    root: str
    protocol: str
    config: PretrainConfig
    scans: tuple[ScanShards, ...]
    subjects: int
    seed: int
    digest: str


def needs(config: PretrainConfig, dimensions: int) -> Needs:
    """Declare what training takes: the network, a batch's activations, the pieces of an epoch."""
    side, _ = patch_of(config, dimensions)
    share = max(1.0, config.batch * side**dimensions / STEP_PIXELS)
    work = int(share * WORK_BYTES["small" if config.encoder == "unet" else config.size])
    return Needs(cpus=config.threads, memory_bytes=WORKER_BYTES + 400 * MIB + work)


def step_work(config: PretrainConfig, dimensions: int) -> float:
    """Return how long a step takes, in steps of four patches of 32 × 32 × 32 of the U-Net."""
    side, _ = patch_of(config, dimensions)
    size = 0 if config.encoder == "unet" else ("small", "middle", "large").index(config.size)
    return float(config.batch * side**dimensions / STEP_PIXELS * LONGER**size)


def patch_of(config: PretrainConfig, dimensions: int) -> tuple[int, int]:
    """Return the side of a patch and of a masked block."""
    side, block = PATCHES[dimensions]
    return config.patch or side, config.block or block


def run(item: PretrainItem, shared: TrainingShared) -> Result:
    """Pretrain, store the encoder, report how well it tells what lies under masks.

    Returns:
        Rows of `pretraining`; value: digest of the weights.

    Raises:
        DataError: there is nothing to learn from, or patch and block do not fit each other.
    """
    if not item.scans:
        raise DataError("not_fittable", "no scan of the protocol could be prepared for pretraining")
    storage, source = Storage.at(item.root), ShardSource(item.root, item.scans)
    training = EncoderTraining(source, _spec(item, shared.teacher))
    kept = RunLayout.states(f"{item.protocol}+encoder")
    try:
        result = shared.train(training, name=item.digest[:16], storage_path=storage.uri(kept))
    except ShapeError as error:
        raise DataError("not_fittable", f"pretrain: {error}") from error
    facts = {"scans": len(item.scans), "subjects": item.subjects, "trainer": shared.trainer}
    model = replace(result.model, history={**result.model.history, **facts})
    models.write_encoder(storage, item.protocol, model)
    storage.remove(kept)  # the encoder stands: nobody goes on from there
    rows = [PretrainingRow(target=item.config.target, **found) for found in result.training]
    return Result(rows={"pretraining": rows}, value={"digest": weights_digest(model.weights)})


def _spec(item: PretrainItem, teacher: TeacherModel) -> PretrainSpec:
    config, view = item.config, view_for(teacher, item.config.grid_mm)
    side, block = patch_of(config, view.dimensions)
    windows: tuple[Window, ...] = item.scans[0].windows
    return PretrainSpec(
        encoder=config.encoder,
        size=config.size,
        dimensions=view.dimensions,
        channels=teacher.channels,
        kinds=view.kinds,
        windows=windows,
        target=config.target,
        classes=(len(teacher.codebook.weights),) * config.codebooks,
        features=len(teacher.center) if item.scans[0].features else 0,
        steps=config.steps,
        batch=config.batch,
        patch=side,
        masked=config.masked,
        block=block,
        spacing_mm=view.spacing_mm,
        threads=config.threads,
        seed=item.seed,
    )
