"""The units that pretrain a protocol's encoder: further codebooks, the shards of each scan, the training."""

from collections.abc import Sequence

from somray.config import PretrainConfig
from somray.domain.run import RunLayout
from somray.domain.work import Unit, digest_of
from somray.io.ledger import Entry
from somray.pipeline.digests import code_digest
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState
from somray.stages.pretrain import codebooks, shards
from somray.stages.pretrain import fit as pretrain
from somray.stages.pretrain.source import ScanShards
from somray.stages.student.volumes import VOLUME_MM

__all__ = ["codebook_unit", "pretrain_unit", "shard_unit"]

CODEBOOKS = "codebooks"
"""Name of the unit that fits them; scans' units begin with `sub-`."""


def _size_mm(units: Units, config: PretrainConfig) -> float | None:
    """Return the wanted size of a volume's blocks; None where the encoder sees slices."""
    return config.grid_mm or (VOLUME_MM if units.volume_rule else None)


def codebook_unit(
    units: Units, config: PretrainConfig, teacher: tuple[ScanState, tuple[int, ...], str]
) -> Unit:
    """Fit further codebooks on the teacher's reference: its first scan, the slices, the teacher's digest."""
    state, slices, digest = teacher
    count, seed = config.codebooks - 1, units.cohort.seed
    item = codebooks.CodebookItem(state.place, slices, state.level, count, seed)
    needs = codebooks.needs(state.tile_bytes, units.config.teacher.dimensions)
    inputs = [state.source_digest, slices, digest, count, seed]
    work = count * state.shape[1] * state.slices(len(slices))
    return units.unit("shards", CODEBOOKS, item, needs, inputs, of=state.scan, work=work)


def shard_unit(
    units: Units, config: PretrainConfig, state: ScanState, models: Sequence[object]
) -> Unit:
    """Write what an encoder learns from one scan; `models` name the teacher and further codebooks."""
    features = config.target == "features"
    item = shards.ShardItem(
        state.place, units.protocol, state.name, state.level, config.grid_mm, features
    )
    channels = state.shape[1]
    count = channels * len(units.config.teacher.feature_names) if features else 0
    needs = shards.needs(state.tile_bytes, channels, count, units.config.teacher.dimensions)
    size_mm, depth = _size_mm(units, config), state.shape[2]
    seen = depth if size_mm else min(depth, shards.SLICES)
    pixels = state.grid_voxels(size_mm) if size_mm else seen * state.shape[3] * state.shape[4]
    inputs = [state.source_digest, state.level, models, config.grid_mm, features]
    return units.unit(
        "shards",
        state.name,
        item,
        needs,
        inputs,
        of=state.scan,
        work=channels * state.slices(seen),
        written=pixels * (4 * channels + 2 * config.codebooks + 2 * count),
    )


def pretrain_unit(
    units: Units, config: PretrainConfig, made: Sequence[tuple[ScanState, Entry]], teacher: str
) -> Unit:
    """Train the encoder on the shards that stand; `teacher` is its digest."""
    seed, protocol = units.cohort.seed, units.protocol
    dimensions = 3 if _size_mm(units, config) else 2
    found = tuple(
        ScanShards.of(RunLayout.shards(protocol, state.name), entry.value) for state, entry in made
    )
    settings = config.model_dump(mode="json", exclude={"trainer", "scans"})
    inputs = [settings, seed, teacher, [one.digest for one in found]]
    subjects = len({state.scan.subject for state, _ in made})
    digest = digest_of("pretrain", protocol, code_digest("pretrain"), *inputs)
    item = pretrain.PretrainItem(units.root, protocol, config, found, subjects, seed, digest)
    iterations = 2 if config.target == "nodes2" else 1
    work = pretrain.step_work(config, dimensions) * config.steps * iterations
    needs = pretrain.needs(config, dimensions)
    of = made[0][0].scan if made else None
    return units.unit("pretrain", protocol, item, needs, [digest], of=of, work=work)
