"""What pretraining is worth: segmenters from few labelled scans, from scratch and from encoders of every target.

`python -m tests.benchmarks.bench_pretrain COHORT --out DIR` (petct, weave or phantom) makes the cohort, pretrains an
encoder for each target on all its images without any label, trains segmenters on 1, 2 and 4 labelled scans, five draws
each, judges them on all other scans, and prints the table; what is there already is not made again, and a seed decides
all. `pytest --bench` prints the table of a cohort at a tenth of the steps; without `--bench` it is a test of a moment.

With `--proposed` nothing is pretrained: the cohort is run as ever, and scratch learns once from scans drawn by chance
and once, with the same seeds, from those that `somray propose` puts first.

Every arm has the same network, labelled scans, patches, augmentation, steps and rates; scratch starts from random
weights, `shuffled` from an encoder that was pretrained as long on nodes whose numbers last for no two patches. The
images of scans that judge were among those pretrained on, as they are where a cohort is at hand; no mask was. Sizes
and steps were set by their cost before any of these masks was looked at, rates on phantoms; the steps of fine-tuning
were raised from 120 to 200 after a first run whose trainings had not ended (LOG.md).
"""

import argparse
import json
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch

from somray.commands.launch import load_cohort
from somray.commands.propose.choice import propose_first
from somray.commands.propose.request import ProposeRequest
from somray.domain.brick import Brick
from somray.domain.encoder import EncoderModel
from somray.domain.run import RunLayout, ScanPlace
from somray.domain.segmenter import SegmenterModel
from somray.io.cohort.manifest import load_manifest
from somray.io.ledger import Ledger
from somray.io.models import read_encoder, read_model_info
from somray.io.ome.image import read_brick
from somray.io.run import open_run
from somray.io.status import read_status
from somray.io.storage import Storage
from somray.kernels.metrics.overlap import agreement as overlap
from somray.kernels.pretrain.segmenter import SegmenterAtWork, SegmenterSpec, train_segmenter
from somray.kernels.pretrain.spec import PretrainSpec
from somray.kernels.pretrain.train import pretrain
from somray.kernels.student.training.patches import Example
from somray.pipeline.cohort import run_cohort
from somray.pipeline.pretrain.run import pretrain_cohort
from somray.runtime.serial import SerialExecutor
from somray.stages.finetune.judge import THRESHOLD
from somray.stages.finetune.labelled import LabelledScan, examples_of, truth_of
from somray.stages.pretrain.images import EncoderView, ScanImage, scan_images
from somray.stages.pretrain.source import ScanShards, ShardSource
from tests.benchmarks.pretrain_cases import COHORTS

pytestmark = pytest.mark.bench

PROPOSED = "proposed"
ARMS = ("scratch", "pixels", "features", "nodes", "nodes2", "kmeans", "shuffled")
COUNTS = (1, 2, 4)
DRAWS = 5
PRETRAIN_STEPS, FINETUNE_STEPS = 1000, 200
PATCH, BATCH = 24, 4
RESAMPLED = 10_000


class Task:
    """A cohort whose encoders and segmenters are kept in a folder.

    Args:
        name: of `COHORTS`.
        data: the real scans.
        folder: of everything that is made.
        share: of the steps.
    """

    def __init__(self, name: str, data: Path, folder: Path, share: float = 1.0) -> None:
        self.name, self.folder = name, folder / name
        self.steps = max(2, int(PRETRAIN_STEPS * share)), max(2, int(FINETUNE_STEPS * share))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "cohort.yaml"
        if not self.config.exists():
            COHORTS[name](data, self.folder)
        self.root = str(self.folder / "run")
        asked = (
            f"protocols.{name}.pretrain"  # shards of features hold all that the other targets need
        )
        self.settings = f"{asked}.steps=1", f"{asked}.target=features"
        if "encoder" not in read_model_info(Storage.at(self.root), name):
            pretrain_cohort(load_cohort(self.config, self.settings), SerialExecutor())

    @cached_property
    def scans(self) -> list[LabelledScan]:
        """All scans with their truths."""
        config = open_run(self.root).config
        found = load_manifest(self.folder / "scans.csv", config)
        return [LabelledScan(ScanPlace(self.root, s.subject, s.session), s.truth) for s in found]

    @cached_property
    def truths(self) -> list[np.ndarray]:
        """Each scan's truth on its own voxels."""
        found = []
        for scan in self.scans:
            with closing(truth_of(scan)) as truth:
                depth, *plane = truth.shape
                found.append(truth.read(Brick.of_slices(0, 0, depth, tuple(plane))))
        return found

    @cached_property
    def images(self) -> list[tuple[ScanImage, np.ndarray]]:
        """Each scan as encoders see it, and which of its own voxels have data."""
        found, view = [], EncoderView.of(self.first)
        for scan in self.scans:
            (image,) = scan_images(scan.place, view)
            values = read_brick(Storage.at(self.root), scan.place.name, image.where)
            found.append((image, np.isfinite(values).all(axis=0)))
        return found

    @cached_property
    def lessons(self) -> list[list[Example]]:
        """Each scan as segmenters learn from it."""
        view, found = EncoderView.of(self.first), []
        for scan in self.scans:
            with closing(truth_of(scan)) as truth:
                found.append(examples_of(scan, truth, view, 2**28))
        return found

    @cached_property
    def proposed(self) -> list[int]:
        """Numbers of the scans that `propose` puts first, the first one first."""
        if read_status(self.root)["state"] != "done":
            cohort = load_cohort(self.config, self.settings)
            run_cohort(cohort, SerialExecutor(), lambda root: None)
        found = propose_first(self.root, ProposeRequest(count=max(COUNTS), every=True))
        names = [scan.place.subject for scan in self.scans]
        rows = [row for row in found["rows"] if row["choice"] == "proposed"]
        print(
            "\n".join(f"{row['rank']} {row['subject']}: {row['why']}" for row in rows), flush=True
        )
        return [names.index(row["subject"]) for row in rows]

    @cached_property
    def source(self) -> ShardSource:
        """What encoders learn from."""
        ledger = Ledger(Storage.at(self.root))
        entries = [ledger.read("shards", self.name, scan.name) for scan in self.scans]
        groups = (RunLayout.shards(self.name, scan.name) for scan in self.scans)
        scans = [
            ScanShards.of(*one) for one in zip(groups, (e.value for e in entries), strict=True)
        ]
        return ShardSource(self.root, scans)

    @cached_property
    def first(self) -> EncoderModel:
        """The encoder that the run left, for what it tells of the network."""
        return read_encoder(Storage.at(self.root), self.name)

    def encoder(self, target: str) -> EncoderModel:
        """Pretrain for a target, or read what was."""
        kept = self.folder / f"encoder-{target}.npz"
        first = self.first
        if not kept.exists():
            teacher = open_run(self.root).teacher(self.name)
            spec = PretrainSpec(
                encoder="unet", size="small", dimensions=3, channels=first.channels, kinds=first.kinds,
                windows=first.windows, target=target, classes=(len(teacher.codebook.weights),),
                features=len(teacher.center), steps=self.steps[0], spacing_mm=first.spacing_mm, patch=PATCH,
                batch=BATCH,
            )  # fmt: skip
            found = pretrain(self.source, spec)
            last = found.training[-1]
            print(
                f"{self.name} {target}: loss {last['loss']:.3f}, accuracy {last['accuracy']}",
                flush=True,
            )
            with kept.with_suffix(".new").open("wb") as file:
                np.savez(file, **found.model.weights)
            kept.with_suffix(".new").rename(kept)
        with closing(np.load(kept)) as weights:
            return replace(first, weights=dict(weights), target=target)

    def draws(self) -> list[tuple[int, tuple[int, ...]]]:
        """Choose the labelled scans of every count and draw."""
        rng = np.random.default_rng(18)
        every = [rng.permutation(len(self.scans)) for _ in range(DRAWS)]
        return [
            (draw, tuple(map(int, order[:n]))) for n in COUNTS for draw, order in enumerate(every)
        ]

    def scores(self, arm: str, draw: int, labelled: tuple[int, ...]) -> list[float]:
        """Train a segmenter and return its Dice with every other scan's truth, None for those labelled."""
        first = self.first
        spec = SegmenterSpec(
            first.network, first.channels, first.kinds, first.windows, self.steps[1], "target", first.spacing_mm,
            patch=PATCH, batch=BATCH, seed=draw,
        )  # fmt: skip
        examples = [example for n in labelled for example in self.lessons[n]]
        start = None if arm in ("scratch", PROPOSED) else self.encoder(arm)
        model = train_segmenter(examples, spec, start)
        return [None if n in labelled else self._dice(n, model) for n in range(len(self.scans))]

    def _dice(self, number: int, model: SegmenterModel) -> float:
        """Return how well a segmenter meets a scan's truth on the scan's own voxels."""
        (image, known), truth = self.images[number], self.truths[number]
        chance = SegmenterAtWork(model).chance(image.values, image.windows)
        depth, rows, columns = truth.shape
        found = image.grid.sampled(chance, 0, depth, ((0, rows), (0, columns)))
        return overlap((found >= THRESHOLD) & known, truth)["dice"]

    def run(self, arms: tuple[str, ...] = ARMS) -> list[dict]:
        """Score all arms, but what was scored before."""
        kept = self.folder / "scores.jsonl"
        rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        done = {(row["arm"], row["count"], row["draw"]) for row in rows}
        for draw, labelled in self.draws():
            for arm in arms:
                count = len(labelled)
                if (arm, count, draw) in done:
                    continue
                own = tuple(self.proposed[:count]) if arm == PROPOSED else labelled
                row = {"arm": arm, "count": count, "draw": draw, "labelled": own}
                rows.append({**row, "dice": self.scores(arm, draw, own)})
                with kept.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
        return rows


def table(rows: list[dict]) -> list[str]:
    """Return lines: mean and median Dice of each arm and count, and how much better nodes are than each control.

    Intervals of 95 % are by resampling scans, with all draws that judged them.
    """
    rng = np.random.default_rng(0)
    by = {(row["arm"], row["count"], row["draw"]): row["dice"] for row in rows}
    arms, counts = dict.fromkeys(r["arm"] for r in rows), sorted({r["count"] for r in rows})
    draws = sorted({row["draw"] for row in rows})

    def matrix(arm: str, count: int) -> np.ndarray:
        return np.array([by[arm, count, draw] for draw in draws], dtype=float)  # None is NaN

    def versus(arm: str, other: str, count: int) -> str:
        gain = np.nanmean(matrix(arm, count) - matrix(other, count), axis=0)
        gain = gain[np.isfinite(gain)]
        means = rng.choice(gain, (RESAMPLED, len(gain))).mean(axis=1)
        low, high = np.quantile(means, (0.025, 0.975))
        return f"{gain.mean():+.3f} [{low:+.3f}, {high:+.3f}]"

    lines = [
        "| start | " + " | ".join(f"n = {n}: mean, median, against scratch" for n in counts) + " |"
    ]
    lines.append("| --- |" + " --- |" * len(counts))
    for arm in arms:
        cells = []
        for count in counts:
            found = matrix(arm, count)
            cells.append(
                f"{np.nanmean(found):.3f}, {np.nanmedian(found):.3f}, {versus(arm, 'scratch', count)}"
            )
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    for arm in ("nodes", "nodes2", "features"):
        for other in ("pixels", "kmeans", "shuffled"):
            if arm in arms and other in arms:
                cells = [versus(arm, other, count) for count in counts]
                lines.append(f"| {arm} − {other} | " + " | ".join(cells) + " |")
    return lines


@pytest.mark.timeout(7200)
def test_few_labels(real_data, request, tmp_path):
    full = request.config.getoption("--bench")
    task = Task("petct", real_data, tmp_path, 0.1 if full else 0.01)
    if full:
        print("\n".join(table(task.run())))
        return
    draw, labelled = task.draws()[0]
    found = task.scores("nodes", draw, labelled)
    assert [score is None for score in found].count(True) == 1
    assert all(0 <= score <= 1 for score in found if score is not None)


def main() -> None:
    """Run one cohort at full length."""
    asked = argparse.ArgumentParser()
    asked.add_argument("cohort", choices=COHORTS)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--out", type=Path, required=True)
    asked.add_argument("--share", type=float, default=1.0)
    asked.add_argument("--proposed", action="store_true")
    given = asked.parse_args()
    torch.set_num_threads(1)
    task = Task(given.cohort, given.data, given.out, given.share)
    arms = ("scratch", PROPOSED) if given.proposed else ARMS
    print("\n".join(table([row for row in task.run(arms) if row["arm"] in arms])))


if __name__ == "__main__":
    main()
