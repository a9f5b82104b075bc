"""The units that compare a scan's masks with its truth mask, each as soon as its masks stand."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from somray.domain.scan import Scan
from somray.io.signatures import source_signature
from somray.pipeline.fitting import SharedModel
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.objects import Baseline, Called, ObjectStep
from somray.pipeline.record import Record
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState
from somray.stages import truth
from somray.stages.objects import BASELINE
from somray.stages.registration.residuals import Masks

__all__ = ["Comparing"]


@dataclass(frozen=True)
class Comparing:
    """Compares masks of a protocol's scans with their truth, where they have one."""

    record: Record
    units: Units
    objects: ObjectStep
    _turns: dict[Scan, asyncio.Lock] = field(default_factory=dict)
    _unread: set[Scan] = field(default_factory=set)

    async def ahead(self, state: ScanState, som: Masks, model: SharedModel) -> Baseline | None:
        """Compare direct transfer and find the objects that it alone gives: work for who waits for a student."""
        if state.scan.truth is None:
            return None
        told = truth.TruthMethod(som.method, som.method, (som.value,))
        _, baseline = await gather_or_cancel(
            self._compare(state, [told], [model.digest], som.method),
            self.objects.baseline(state, som, model),
        )
        return baseline  # type: ignore[no-any-return]  # gathered with others

    async def masks(self, state: ScanState, last: Masks, digest: str) -> None:
        """Compare the masks of the last method as they are; `digest` names all models."""
        told = truth.TruthMethod(last.method, last.method, (last.value,))
        await self._compare(state, [told], [digest])

    async def lesions(
        self, state: ScanState, called: Called | None, baseline: Baseline | None, digest: str
    ) -> None:
        """Compare a scan's lesions, and beside a student's those of direct transfer alone."""
        methods, inputs = [truth.TruthMethod("lesions", "lesions")], [digest]
        if called is not None and baseline is not None:
            numbers = called.lesions[0] if baseline.lesions is None else baseline.lesions
            methods.append(truth.TruthMethod("som_lesions", BASELINE, numbers))
            inputs.append(baseline.digest)
        await self._compare(state, methods, inputs, "lesions")
        self._turns.pop(state.scan, None)  # nothing else of the scan is compared

    async def _compare(
        self,
        state: ScanState,
        methods: Sequence[truth.TruthMethod],
        inputs: Sequence[str],
        part: str = "",
    ) -> None:
        """Compare in turn: a truth that one mask could not be compared with is one failure, whatever else is asked."""
        if state.scan.truth is None:
            return
        made_from = [*inputs, source_signature(state.scan.truth)]
        unit = self.units.truth(state, tuple(methods), made_from, part)
        async with self._turns.setdefault(state.scan, asyncio.Lock()):
            if state.scan in self._unread:
                return
            entry = await self.record.do(truth.run, unit)
            if (
                not entry.ok and entry.digest
            ):  # the truth's own fault: nothing that another try mends
                self._unread.add(state.scan)
