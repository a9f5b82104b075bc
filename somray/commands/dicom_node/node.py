"""The node itself: listen, settle, answer, send, over and over; each step first stands in the journal.

Steps may be repeated without harm. UIDs of answers derive from what was answered by what, so a second sending is of the
same object, which an archive knows already. An attempt is counted before it begins: a series that ends the process
each time is given up like one that fails.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from somray.commands.console import say
from somray.commands.dicom_node.answer import answer_case, case_key
from somray.commands.dicom_node.destination import Destination
from somray.commands.dicom_node.fetch import Fetcher
from somray.commands.dicom_node.fingerprint import KnownProtocol
from somray.commands.dicom_node.journal import OPEN_STATES, Journal, SeriesEntry
from somray.commands.dicom_node.plan import Planner, ScanCase
from somray.commands.dicom_node.settings import NodeSettings, RefusalError
from somray.commands.words import counted
from somray.errors import ConfigError, StoreError
from somray.io.archive import ArchiveAwayError, ArchivedSeries, Orthanc
from somray.io.run import StoredRun

__all__ = ["DicomNode"]

MOST_ATTEMPTS = 5
LONGEST_PAUSE_SECONDS = 60.0
OBJECTS = frozenset(
    ("SEG", "SR", "RTSTRUCT", "RTDOSE", "RTPLAN", "RTRECORD", "PR", "KO", "REG", "DOC", "RWV", "FID", "PLAN", "")
)  # fmt: skip
"""Modalities that are made from scans: never answered, or a node would answer itself."""


class DicomNode:
    """One run's answers to one archive.

    The journal is open.
    """

    def __init__(
        self,
        settings: NodeSettings,
        run: StoredRun,
        protocols: list[KnownProtocol],
        archive: Orthanc,
        destination: Destination,
        journal: Journal,
    ) -> None:
        self._settings, self._run, self._protocols = settings, run, protocols
        self._archive, self._destination, self._journal = archive, destination, journal
        self.clock: Callable[[], float] = time.time
        self._is_away = ""
        self.set_aside = 0
        """Series that were refused or failed since it began."""

    def work(self) -> None:
        """Work until somebody ends it, or until nothing is left to do where that is asked for.

        Raises:
            StoreError: the archive stays away from one that works once.
            ConfigError: user or password of the archive are no longer right.
        """
        fails, once = 0, self._settings.once
        while True:
            try:
                self.turn()
                fails = 0
                self._say_back()
                if once and not self.is_busy:
                    return
            except ArchiveAwayError as error:
                fails += 1
                self._say_away(str(error))
                if once and fails >= MOST_ATTEMPTS:
                    raise
            time.sleep(min(LONGEST_PAUSE_SECONDS, self._settings.poll_seconds * 2 ** min(fails, 8)))

    @property
    def is_busy(self) -> bool:
        """Whether a series is on its way."""
        return any(entry.state in OPEN_STATES for entry in self._journal.entries.values())

    def turn(self) -> None:
        """Take each step once.

        Raises:
            ArchiveAwayError: the archive, or where answers go, does not answer.
        """
        self._listen()
        for entry in self._journal.in_state("seen"):
            self._settle(entry)
        for entry in self._journal.in_state("settled"):
            current = self._journal.entries.get(entry.name, entry)  # a pair ends two at once
            if current.state == "settled" and self._is_due(current):
                self._try(current, self._answer)
        for entry in self._journal.in_state("answered"):
            if self._is_due(entry):
                self._try(entry, self._send)

    def retry_failed(self) -> None:
        """Begin again with what failed."""
        for entry in self._journal.in_state("failed"):
            self._journal.save(entry.at("seen"))

    def _listen(self) -> None:
        """Take in what arrived since the last look."""
        since = self._journal.last
        if since is None:  # the first look of all
            self._archive.check()
            since = 0 if self._settings.begins_with_all else self._archive.last_change()
        if since > 0 and self._archive.last_change() < since:
            say("the archive counts its changes anew; looking at all of it")
            since = 0
        is_all = False
        while not is_all:
            names, last, is_all = self._archive.new_instances(since)
            for series in self._archive.series_of(names):
                if series.modality not in OBJECTS:
                    self._see(series)
            is_all = is_all or last <= since
            since = max(last, since)
            self._journal.save_last(since)

    def _see(self, series: ArchivedSeries) -> None:
        known = self._journal.entries.get(series.name)
        bare = known or SeriesEntry(series.name, series.study, series.modality)
        entry = bare.at("seen", changed=self.clock(), waiting=None, **_size(series))
        if known is None or known.state not in OPEN_STATES:
            more = " again" if known else ""
            _log(entry, f"seen{more}: {series.modality}")
        self._journal.save(entry)
        self._journal.empty_outbox(entry)

    def _settle(self, entry: SeriesEntry) -> None:
        """Take a series for whole that did not change for a while."""
        if self.clock() - entry.changed < self._settings.settle_seconds:
            return
        series = self._archive.series(entry.name)
        if series is None:
            _log(entry, "is no longer in the archive")
            self._journal.forget(entry)
        elif _size(series)["instances"] != entry.instances:
            self._journal.save(replace(entry, changed=self.clock(), **_size(series)))
        else:
            self._journal.save(entry.at("settled"))
            _log(entry, f"settled: {counted(len(series.instances), 'image')}")

    def _is_due(self, entry: SeriesEntry) -> bool:
        return self.clock() >= entry.due

    def _try(self, entry: SeriesEntry, step: Callable[[SeriesEntry], None]) -> None:
        """Take a step, and put down how it ended."""
        if entry.attempts >= MOST_ATTEMPTS:
            self._end(
                entry, "failed", entry.code or "died", f"given up after {entry.attempts} attempts"
            )
            return
        pause = min(LONGEST_PAUSE_SECONDS, self._settings.poll_seconds * 2**entry.attempts)
        begun = replace(entry, attempts=entry.attempts + 1)
        self._journal.save(begun)
        try:
            step(begun)
        except RefusalError as error:
            self._end(begun, "refused", error.code, str(error))
        except ArchiveAwayError:
            self._journal.save(replace(entry, due=self.clock()))  # no attempt; but others go first
            raise
        except ConfigError:
            self._journal.save(entry)
            raise
        except Exception as error:  # whatever one scan does, the others go on
            # Only our own words are told: others may quote a header.
            why = str(error) if isinstance(error, StoreError) else type(error).__name__
            self._journal.save(replace(begun, code="internal", due=self.clock() + pause))
            _log(begun, f"attempt {begun.attempts} of {MOST_ATTEMPTS} failed: {why}")

    def _answer(self, entry: SeriesEntry) -> None:
        """Plan and answer a settled series."""
        series = self._archive.series(entry.name)
        if series is None or _size(series)["instances"] != entry.instances:
            self._journal.save(entry.at("seen", changed=self.clock()))
            return
        may_wait = self.clock() - entry.changed < self._settings.pair_seconds
        with Fetcher(self._archive, self._journal.work, self._settings.most_bytes) as fetcher:
            planner = Planner(self._archive, self._protocols, self._journal.entries, fetcher)
            case = planner.plan(series, may_wait=may_wait)
            if case is None:
                due = max(entry.changed + self._settings.pair_seconds, self.clock())
                self._journal.save(replace(entry, attempts=entry.attempts - 1, due=due))
                return
            self._answer_case(entry, case, fetcher)

    def _answer_case(self, entry: SeriesEntry, case: ScanCase, fetcher: Fetcher) -> None:
        lead, *others = (self._entry_of(channel.series) for channel in case.channels)
        if lead.name == entry.name:
            lead = entry
        key = case_key(self._settings, self._run, case)
        if key in [past.key for past in (*lead.past, lead.waiting) if past is not None]:
            if lead.waiting is None:
                self._journal.save(lead.at("sent"))
            self._join(lead, others)
            _log(entry, "answered already, nothing new")
            return
        made = answer_case(self._settings, self._run, case, lead.past, fetcher.place)
        names = tuple(one.name for one in others)
        answered = lead.at("answered", waiting=made.told, partners=names, lead="")
        self._journal.put_out(answered, made.objects)
        self._journal.save(answered)
        self._join(lead, others)
        _log(answered, f"answered by {made.text}")

    def _join(self, lead: SeriesEntry, others: list[SeriesEntry]) -> None:
        """Put down that the answer to further channels stands with the first."""
        for one in others:
            self._journal.save(one.at("joined", lead=lead.name))

    def _entry_of(self, series: ArchivedSeries) -> SeriesEntry:
        known = self._journal.entries.get(series.name)
        bare = known or SeriesEntry(
            series.name, series.study, series.modality, changed=self.clock()
        )
        return replace(bare, **_size(series))

    def _send(self, entry: SeriesEntry) -> None:
        """Send an answer; all of it again where a part had gone."""
        objects = self._journal.taken_out(entry)
        if objects is None or entry.waiting is None:
            self._journal.save(entry.at("settled", waiting=None))
            return
        for data in objects:
            self._destination.send(data)
        past = (*entry.past, entry.waiting)
        self._journal.save(entry.at("sent", waiting=None, past=past))
        self._journal.empty_outbox(entry)
        _log(entry, f"sent to {self._destination.name}: {counted(len(objects), 'object')}")

    def _end(self, entry: SeriesEntry, state: str, code: str, why: str) -> None:
        self.set_aside += 1
        ended = entry.at(state, code=code, waiting=None)
        self._journal.save(ended)
        self._journal.empty_outbox(ended)
        _log(entry, f"{state} [{code}]: {why}")

    def _say_away(self, why: str) -> None:
        if why != self._is_away:
            say(f"{why}; trying again until it does")
        self._is_away = why

    def _say_back(self) -> None:
        if self._is_away:
            say("it answers again")
        self._is_away = ""


def _size(series: ArchivedSeries) -> dict[str, Any]:  # Any: fields
    """Return what of a series stands in its entry: count and digest of its instances."""
    digest = hashlib.sha256("".join(series.instances).encode()).hexdigest()
    return {"images": len(series.instances), "instances": digest}


def _log(entry: SeriesEntry, text: str) -> None:
    say(f"{entry.tag} {text}")
