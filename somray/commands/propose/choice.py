"""What a reader should label first, by what a run knows of its own doubts; beside it a choice by chance.

No truth mask is read: that a scan has one is all that is asked of it.
"""

import csv
import io
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import PurePath
from typing import Any

import numpy as np

from somray.commands.console import say
from somray.commands.propose.figures import SeenCandidate, done_scans, seen_candidates
from somray.commands.propose.request import LEVELS, PARTS, ProposalRow, ProposeRequest
from somray.commands.propose.words import reasons
from somray.commands.words import asked_protocols, check_word, counted
from somray.errors import ConfigError
from somray.io.run import open_run
from somray.io.storage import Storage
from somray.stages.proposal.choose import pick, rank_shares, scores

__all__ = ["propose_first"]

UNDONE = "no scan is done; let the run finish"
LABELLED = "every scan has a truth already; --all proposes among them too"
GAP_MM = 20.0  # between proposed slices of one scan, at any time: nearer ones show the same
LATER = "truth masks belong to t 0; `finetune` and the scores read no label of a later time point"


def propose_first(location: str, request: ProposeRequest) -> dict[str, Any]:  # Any: JSON
    """Choose what to label first, and the same number by chance.

    Returns:
        `what`, `rows` (fields of `ProposalRow`), `notes` for people, `file` where one was written.

    Raises:
        ConfigError: unknown protocol or word, or nothing is left to be proposed.
        StoreError: the run cannot be read, or the file not be written.
    """
    run = open_run(location)
    check_word("--what", request.what, LEVELS)
    rows: list[ProposalRow] = []
    notes: list[str] = []
    for protocol in asked_protocols(run.config.protocols, request.protocol):
        scans = done_scans(run, protocol)
        if not scans or (all(scans.values()) and not request.every):
            notes.append(f"{protocol}: {LABELLED if scans else UNDONE}")
            continue
        say(f"somray: {protocol}: looking at {counted(len(scans), 'scan')}")
        seen = seen_candidates(run, protocol, request.what)
        among = [one for one in seen if request.every or not one.has_truth]
        rows += _chosen(protocol, seen, among, request)
        notes += [f"{protocol}: {note}" for note in _notes(among, request)]
    if any(row.t for row in rows):
        notes.append(LATER)
    if not rows:
        raise ConfigError(f"{run.root}: nothing to propose: {'; '.join(notes)}")
    found = {"what": request.what, "rows": [asdict(row) for row in rows], "notes": notes}
    return found if request.out is None else {**found, "file": _written(request.out, rows)}


def _notes(among: Sequence[SeenCandidate], request: ProposeRequest) -> list[str]:
    notes = []
    if len(among) < request.count:
        notes.append(f"there are but {len(among)} {request.what} to choose from")
    if len({one.candidate.subject for one in among}) == 1:
        notes.append("all are of one subject: ranks compare it with itself alone")
    missing = [name for name in PARTS if all(one.parts[name] is None for one in among)]
    if missing:
        notes.append(f"not known in this run, and left out of the score: {', '.join(missing)}")
    return notes


def _chosen(
    protocol: str,
    seen: Sequence[SeenCandidate],
    among: Sequence[SeenCandidate],
    request: ProposeRequest,
) -> list[ProposalRow]:
    """Choose by score and by chance."""
    parts = {name: [one.parts[name] for one in among] for name in PARTS}
    score, ranks = scores(parts), {name: rank_shares(values) for name, values in parts.items()}
    labelled = {(c.subject, c.session) for c in (one.candidate for one in seen if one.has_truth)}
    had = {} if request.every else Counter(subject for subject, _ in labelled)
    best = pick([one.candidate for one in among], score, request.count, GAP_MM, had)
    chance = np.random.default_rng([request.seed, zlib.crc32(protocol.encode())])
    drawn = chance.permutation(len(among))[: request.count].tolist()
    rows = []
    for choice, numbers in (("proposed", best), ("random", drawn)):
        for rank, n in enumerate(numbers, start=1):
            one = among[n]
            why = reasons(request.what, one.parts, {name: float(ranks[name][n]) for name in PARTS})
            where = one.candidate.subject, one.candidate.session, one.t, one.z
            told = {name: one.parts[name] for name in PARTS}
            rows.append(
                ProposalRow(
                    choice, rank, protocol, *where, round(float(score[n]), 6), **told,
                    has_truth=one.has_truth, why=why,
                )
            )  # fmt: skip
    return rows


def _written(out: str, rows: Sequence[ProposalRow]) -> str:
    """Write the table as CSV; return its place."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [f.name for f in fields(ProposalRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    folder, name = str(out).rpartition("/")[::2]
    storage = Storage.at(folder or ("/" if out.startswith("/") else "."))
    storage.write_text(PurePath(name).name, text.getvalue())
    return storage.uri(name)
