"""A whole training inside one Ray Train fit, on one or several workers.

Starting a worker group costs half a minute and more, so a training has one for all that it does. After each
epoch the first worker's state is reported as a checkpoint: a killed worker, or a driver that is started again,
goes on from there. One worker on a CPU gives the bits of a training in process; with several, each takes its
share of every batch and gradients are averaged (gloo or nccl), so the bits depend on their number, as every
checkpoint's name does.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch

from somray.domain.work import ResumableTraining
from somray.errors import PlanError

__all__ = ["train_with_ray"]

BF16_CAPABILITY = 8, 0
"""First NVIDIA generation that multiplies bfloat16."""
MAX_FAILURES = 10
"""Times that dead workers are replaced before the training is given up; Ray Train counts lost nodes too."""
STATE_FILE = "state.npz"
SETTINGS = {
    # What Ray Train does by default takes longer than our training.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # The default of 30 s is less than a busy machine takes to import torch on every worker.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
}
CUBLAS = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # without it cuBLAS is not deterministic


def train_with_ray(
    training: ResumableTraining,
    *,
    name: str,
    storage_path: str,
    workers: int = 1,
    use_gpu: bool = False,
) -> Any:  # Any: what the training leaves
    """Train in one `TorchTrainer.fit`, resuming what an earlier call of it left.

    Args:
        training: what to train; its `threads` are what each worker uses.
        name: of the run; a digest of the training and the workers is added to it, so that other data or
            another configuration never resumes it.
        storage_path: folder or URL for checkpoints, shared by all nodes.
        workers: equal workers.
        use_gpu: give each worker a GPU.

    Returns:
        What `training.run` does.

    Raises:
        PlanError: the cluster has too few GPUs or CPUs, or workers failed too often.
        ShapeError: the training cannot be done; nothing was started.
    """
    if not training.is_due():
        return training.run()
    full_name = f"{name}-{training.digest((workers, use_gpu))}"
    share = _share(training.threads, workers, use_gpu)
    scaling = ray.train.ScalingConfig(
        num_workers=workers, use_gpu=use_gpu, resources_per_worker=share
    )
    # A reference, wrapped so that Ray does not resolve it: pixels go by the object store.
    config = {"training": [ray.put(training)]}
    with _environment(SETTINGS):
        trainer = ray.train.torch.TorchTrainer(
            _train_loop,
            train_loop_config=config,
            scaling_config=scaling,
            run_config=ray.train.RunConfig(
                name=full_name,
                storage_path=storage_path
                if "://" in storage_path
                else os.path.abspath(storage_path),
                failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            ),
        )
        try:
            result = trainer.fit()
        except ray.train.TrainingFailedError as error:
            raise PlanError(f"Ray Train gave up on {name}: {error}") from error
    with result.checkpoint.as_directory() as folder:
        state = training.from_bytes((Path(folder) / STATE_FILE).read_bytes())
    return training.run(state)


def _share(threads: int, workers: int, use_gpu: bool) -> dict[str, float]:
    """Return what each worker claims.

    As many CPUs as it has threads, fewer where the cluster has no more beside what the calling actor
    holds while it waits.

    Raises:
        PlanError: not even one CPU or one GPU for each.
    """
    total = ray.cluster_resources()
    if use_gpu and total.get("GPU", 0) < workers:
        raise PlanError(
            f"{workers} GPU workers asked, the cluster has {total.get('GPU', 0):g} GPUs"
        )
    context = ray.get_runtime_context()
    is_worker = context.worker.mode == ray.WORKER_MODE  # a plain driver holds nothing
    held = context.get_assigned_resources().get("CPU", 0) if is_worker else 0.0
    each = min(float(threads), (total.get("CPU", 0) - held) // workers)
    if each < 1:
        raise PlanError(
            f"{workers} training workers need a CPU each; the cluster has {total.get('CPU', 0):g}, "
            f"of which the caller holds {held:g}; lower `workers` of the student or of pretrain, or add CPUs"
        )
    return {"CPU": each, **({"GPU": 1.0} if use_gpu else {})}


def _train_loop(config: dict[str, Any]) -> None:  # Any: Ray's config is a plain dict
    """Run on every worker: the training, a report after each epoch."""
    os.environ.update(CUBLAS)
    training: ResumableTraining = ray.get(config["training"][0])
    context = ray.train.get_context()
    world = context.get_world_size()
    average = _average(world) if world > 1 else None
    device = ray.train.torch.get_device()
    rank = context.get_world_rank()
    training.run(
        _resumed(training),
        _reporter(training, rank),
        rank=rank,
        world=world,
        average=average,
        device=str(device),
        bf16=_all_do_bf16(device, average),
    )


def _average(world: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return the mean over the workers of Ray Train's process group."""

    def average(flat: torch.Tensor) -> torch.Tensor:
        torch.distributed.all_reduce(flat)
        return flat.div_(world)

    return average


def _all_do_bf16(
    device: torch.device, average: Callable[[torch.Tensor], torch.Tensor] | None
) -> bool:
    """Tell whether every worker has a GPU that computes in bfloat16; all get the same answer.

    On CPUs it is off: those that we measured have no bfloat16, and others would change the bits.
    """
    capable = device.type == "cuda" and torch.cuda.get_device_capability(device) >= BF16_CAPABILITY
    vote = torch.tensor([float(capable)], device=device)
    return bool((vote if average is None else average(vote)) == 1)


def _resumed(training: ResumableTraining) -> Any:  # Any: the training's own state
    """Return the state of the last checkpoint, if this training has one."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return None
    with checkpoint.as_directory() as folder:
        return training.from_bytes((Path(folder) / STATE_FILE).read_bytes())


def _reporter(training: ResumableTraining, rank: int) -> Callable[[Any], None]:
    """Return what reports an epoch; the first worker hands its state over, the others only meet it."""

    def report(state: Any) -> None:
        if rank:
            ray.train.report({})
            return
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / STATE_FILE).write_bytes(training.to_bytes(state))
            ray.train.report({}, checkpoint=ray.train.Checkpoint.from_directory(folder))

    return report


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    """Set environment variables that are not set yet, and take them away again."""
    added = {key: value for key, value in settings.items() if key not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for key in added:
            del os.environ[key]
