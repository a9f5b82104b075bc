"""What a run holds for finetuning: scans with a truth, an encoder perhaps, and how segmenters are trained on them."""

from pathlib import Path

from somray.domain.run import ScanPlace
from somray.domain.work import digest_of
from somray.errors import ConfigError
from somray.io.cohort.manifest import load_manifest
from somray.io.models import read_encoder
from somray.io.ome.image import read_meta
from somray.io.run import StoredRun
from somray.io.signatures import source_signature
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.spec import PretrainSpec
from somray.pipeline.finetune.request import FinetuneRequest
from somray.stages.finetune.fold import Recipe
from somray.stages.finetune.labelled import LabelledScan, values_each
from somray.stages.pretrain.images import EncoderView
from somray.stages.pretrain.shards import view_for

__all__ = ["labelled_scans", "recipe_of", "scan_digest"]


def labelled_scans(run: StoredRun) -> dict[str, list[LabelledScan]]:
    """Return the finished scans that have a truth, by protocol, in order of subject and session.

    Raises:
        ConfigError: the manifest that names truths can no longer be read.
    """
    config, table = run.config, run.table("scans")
    done = table[table["status"] == "done"]
    names = set(zip(done["subject"].astype(str), done["session"].astype(str), strict=True))
    found: dict[str, list[LabelledScan]] = {protocol: [] for protocol in config.protocols}
    scans = load_manifest(Path(config.scans), config)
    for scan in sorted(scans, key=lambda one: (one.subject, one.session)):
        if scan.truth is not None and (scan.subject, scan.session) in names:
            place = ScanPlace(run.root, scan.subject, scan.session)
            found[scan.protocol].append(LabelledScan(place, scan.truth, scan.paths[0]))
    return found


def scan_digest(run: StoredRun, scan: LabelledScan) -> str:
    """Name a scan's pixels and its truth, without reading them."""
    digest = read_meta(run.storage, scan.place.name).source_digest
    return digest_of(scan.name, digest, source_signature(scan.path))


def recipe_of(
    run: StoredRun,
    protocol: str,
    request: FinetuneRequest,
    scans: list[LabelledScan],
    device: str,
) -> Recipe:
    """Say how a protocol's segmenters are trained: as its encoder, or as its student would see scans.

    Raises:
        ConfigError: the protocol has no map yet.
    """
    config, teacher = run.config.protocols[protocol], run.teacher(protocol)
    if teacher is None:
        raise ConfigError(f"{run.root}: protocol {protocol!r} has no map yet; let the run finish")
    pretrain = config.pretraining
    encoder = None
    if "encoder" in run.model_info(protocol):
        encoder = read_encoder(run.storage, protocol)
        view, network = EncoderView.of(encoder), dict(encoder.network)
    else:
        view = view_for(teacher, None if pretrain is None else pretrain.grid_mm)
        asked = PretrainSpec(
            encoder="unet", size="small", dimensions=view.dimensions, channels=teacher.channels,
            kinds=view.kinds, windows=view.windows, target="nodes", classes=(), features=0,
            steps=request.steps, spacing_mm=view.spacing_mm,
        )  # fmt: skip
        network = network_of_spec(asked)
    return Recipe(
        view=view,
        network=network,
        channels=tuple(teacher.channels),
        target=config.teacher.target,
        steps=request.steps,
        threads=config.student.threads if pretrain is None else pretrain.threads,
        seed=request.seed,
        most_values=values_each(scans),
        encoder=encoder,
        device=device,
    )
