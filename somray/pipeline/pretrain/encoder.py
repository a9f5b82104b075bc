"""The encoder of one protocol: shards as soon as teacher and scan are there, then its training."""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from somray.config import PretrainConfig
from somray.domain.run import RunLayout
from somray.io.ledger import Entry
from somray.pipeline.gather import owned
from somray.pipeline.references import over_subjects
from somray.pipeline.units.encoder import codebook_unit, pretrain_unit, shard_unit
from somray.pipeline.units.scan_state import ScanState
from somray.stages.pretrain import codebooks, shards
from somray.stages.pretrain import fit as pretrain
from somray.stages.pretrain.nodes import NodeMaps
from somray.stages.training import TrainingShared

if TYPE_CHECKING:
    from somray.pipeline.fitting import FittedTeacher, ProtocolWork

__all__ = ["pretrain_encoder"]

Made = list[tuple[ScanState, Entry]]


async def pretrain_encoder(
    work: "ProtocolWork", fitted: "FittedTeacher", config: PretrainConfig
) -> str | None:
    """Pretrain a protocol's encoder; return its digest, None where it could not be made."""
    made = await _shards(work, fitted, config)
    unit = pretrain_unit(work.units, config, made, fitted.shared.digest)
    if await work.record.is_due(unit) and not all([await _stands(work, s) for s, _ in made]):
        for _, entry in made:  # somebody cleared them away
            await work.record.forget(entry)
        made = await _shards(work, fitted, config)
        unit = pretrain_unit(work.units, config, made, fitted.shared.digest)
    trainer = work.executor.trainer(config.workers, config.trainer)
    if trainer.waits:
        unit = replace(unit, needs=replace(unit.needs, cpus=0.0))
    shared = TrainingShared(fitted.model, trainer.run, trainer.name)
    actor = f"{work.units.protocol}+encoder"
    entry = await work.record.do(pretrain.run, unit, shared=shared, actor=actor)
    await work.executor.release(actor)
    return f"{unit.digest}-{entry.value['digest']}" if entry.ok else None


async def _stands(work: "ProtocolWork", state: ScanState) -> bool:
    """Whether a scan's shards lie where they were written."""
    return await work.record.has_scan(RunLayout.shards(work.units.protocol, state.name))


async def _shards(work: "ProtocolWork", fitted: "FittedTeacher", config: PretrainConfig) -> Made:
    """Write the shards of as many scans as are asked for; return those that could be written."""
    maps, models = NodeMaps(fitted.model), [fitted.shared.digest]
    if config.codebooks > 1:
        unit = codebook_unit(
            work.units, config, (fitted.state, fitted.slices, fitted.shared.digest)
        )
        books = await work.record.do(codebooks.run, unit, shared=fitted.shared.shared)
        if not books.ok:
            return []
        maps = NodeMaps(fitted.model, codebooks.codebooks_of(books.value))
        models.append(books.digest)
    shared = work.executor.share(maps)
    states: list[ScanState] = []
    async with owned() as tasks:
        for scan in over_subjects(work.scans):
            if len(states) == config.scans:
                break
            state = await work.intake.accepted(scan)
            if state is not None:
                states.append(state)
                unit = shard_unit(work.units, config, state, models)
                doing = work.record.do(shards.run, unit, shared=shared)
                tasks.append(asyncio.ensure_future(doing))
        entries = await asyncio.gather(*tasks)
    return [(s, entry) for s, entry in zip(states, entries, strict=True) if entry.ok]
