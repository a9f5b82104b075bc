"""What is to be done about a series that has settled: wait for another channel, refuse, or answer by a protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from somray.commands.dicom_node.fetch import FetchedSeries, Fetcher
from somray.commands.dicom_node.fingerprint import KnownProtocol, takes
from somray.commands.dicom_node.journal import SeriesEntry
from somray.commands.dicom_node.settings import RefusalError
from somray.domain.scan import ScanHeader
from somray.io.archive import ArchivedSeries, Orthanc

__all__ = ["Planner", "ScanCase"]

ALIKE = 0.05  # octaves: nearer to each other than this, neither is the nearer one
_FRAME = "0020-0052"  # FrameOfReferenceUID


@dataclass(frozen=True)
class ScanCase:
    """One scan, whole: what answers, a series for each of its channels, its distance to their scans in octaves."""

    protocol: KnownProtocol
    channels: tuple[FetchedSeries, ...]
    distance: float


class Planner:
    """Decides about series: by what is known of them, what may answer, and what a fetcher brings here."""

    def __init__(
        self,
        archive: Orthanc,
        protocols: list[KnownProtocol],
        entries: Mapping[str, SeriesEntry],
        fetcher: Fetcher,
    ) -> None:
        self._archive, self._protocols = archive, protocols
        self._entries, self._fetcher = entries, fetcher
        self._headers: dict[tuple[str, str], ScanHeader] = {}

    def plan(self, series: ArchivedSeries, *, may_wait: bool) -> ScanCase | None:
        """Find what answers a series that has settled; None where it waits for the other channels.

        `may_wait` tells whether a channel that is not there may still come.

        Raises:
            RefusalError: nothing answers it, or two things do.
        """
        wanted = [p for p in self._protocols if any(takes(k, series.modality) for k in p.kinds)]
        if not wanted:
            raise RefusalError("no_protocol", f"no protocol takes {series.modality or 'it'}")
        siblings = self._siblings(series) if any(len(p.kinds) > 1 for p in wanted) else []
        if any(self._is_moving(one) for one in siblings):
            return None
        offers = {protocol.name: _offers(protocol, series, siblings) for protocol in wanted}
        lacks = [not all(offers[protocol.name]) for protocol in wanted]
        has_pair = any(all(offer) and len(offer) > 1 for offer in offers.values())
        if may_wait and any(lacks) and not has_pair:
            return None
        cases, reasons = [], []
        for protocol in wanted:
            try:
                case = self._case(protocol, offers[protocol.name])
                _check_holds(case, series)
                cases.append(case)
            except RefusalError as error:
                reasons.append(error)
        return _nearest(cases, reasons)

    def _is_moving(self, series: ArchivedSeries) -> bool:
        """Whether a series is still on its way."""
        entry = self._entries.get(series.name)
        return entry is not None and entry.state == "seen"

    def _siblings(self, series: ArchivedSeries) -> list[ArchivedSeries]:
        """Return the series of the study that lie in the same frame of reference, itself left out."""
        others = [
            one
            for one in self._archive.siblings(series.study)
            if one.name != series.name
            and any(takes(k, one.modality) for p in self._protocols for k in p.kinds)
        ]
        frame = self._frame(series) if others else ""
        return [one for one in others if frame and self._frame(one) == frame]

    def _frame(self, series: ArchivedSeries) -> str:
        return self._archive.text(series.instances[0], _FRAME) if series.instances else ""

    def _case(self, protocol: KnownProtocol, offers: list[list[ArchivedSeries]]) -> ScanCase:
        """Choose a series for each channel."""
        for kind, offered in zip(protocol.kinds, offers, strict=True):
            if not offered:
                raise RefusalError(
                    "channel_missing",
                    f"{protocol.name}: no {kind} of its study lies in its frame of reference",
                )
        found = [self._best(protocol, n, offered) for n, offered in enumerate(offers)]
        if len({one.series.name for one, _ in found}) < len(found):
            raise RefusalError("ambiguous", f"{protocol.name}: one series would be two channels")
        channels = tuple(one for one, _ in found)
        return ScanCase(protocol, channels, max(far for _, far in found))

    def _best(
        self, protocol: KnownProtocol, channel: int, offered: list[ArchivedSeries]
    ) -> tuple[FetchedSeries, float]:
        """Choose the nearest of the series that a channel may be."""
        found: list[tuple[float, FetchedSeries]] = []
        reasons: list[RefusalError] = []
        for series in offered:
            try:
                fetched = self._fetcher.fetch(series)
                header = self._header(fetched, protocol.config.irregular)
                found.append((protocol.distance(header, channel), fetched))
            except RefusalError as error:
                reasons.append(error)
        if not found:
            raise reasons[0]
        found.sort(key=lambda one: one[0])
        if len(found) > 1 and found[1][0] - found[0][0] < ALIKE:
            raise RefusalError(
                "ambiguous",
                f"{protocol.name}: two series of the study could be its {protocol.kinds[channel]}",
            )
        return found[0][1], found[0][0]

    def _header(self, fetched: FetchedSeries, irregular: str) -> ScanHeader:
        key = fetched.series.name, irregular
        if key not in self._headers:
            self._headers[key] = fetched.header(irregular)
        return self._headers[key]


def _offers(
    protocol: KnownProtocol, series: ArchivedSeries, siblings: list[ArchivedSeries]
) -> list[list[ArchivedSeries]]:
    """Return the series that each channel may be.

    One that can be the first channel is it, and others of its kind are scans of their own: the answer lies on its
    slices. For further channels it has rivals (PET with and without attenuation correction).
    """
    offers = []
    for n, kind in enumerate(protocol.kinds):
        own = [series] if takes(kind, series.modality) else []
        rivals = [one for one in siblings if takes(kind, one.modality)]
        offers.append(own if own and n == 0 else [*own, *rivals])
    return offers


def _check_holds(case: ScanCase, series: ArchivedSeries) -> None:
    if series.name not in [one.series.name for one in case.channels]:
        raise RefusalError(
            "no_protocol", f"{case.protocol.name}: another series of the study is nearer"
        )


def _nearest(cases: list[ScanCase], reasons: list[RefusalError]) -> ScanCase:
    """Choose the case of most channels, then the nearest."""
    if not cases:
        codes = {error.code for error in reasons}
        code = codes.pop() if len(codes) == 1 else "no_protocol"
        raise RefusalError(code, "; ".join(dict.fromkeys(str(error) for error in reasons)))
    most = max(len(case.channels) for case in cases)
    ranked = sorted(
        (case for case in cases if len(case.channels) == most), key=lambda case: case.distance
    )
    for first, second in pairwise(ranked[:2]):
        if second.distance - first.distance < ALIKE:
            raise RefusalError(
                "ambiguous",
                f"{first.protocol.name} and {second.protocol.name} fit equally well; start the node "
                "with --protocol",
            )
    return ranked[0]
