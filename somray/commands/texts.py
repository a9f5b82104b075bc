"""What `check`, `status` and `run` say to a person."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from somray.commands.words import counted, duration, end_words, ended_units
from somray.errors import REMEDIES

__all__ = ["failure_lines", "plan_text", "run_text", "status_text"]

MOST_FAILURES = 10
MOST_NOTES = 10
MIB = 2**20

Facts = dict[str, Any]  # Any: JSON


def plan_text(plan: Facts) -> str:
    """Say what a run will take, and which scans will not be part of it."""
    aside = len(plan["quarantine"])
    lines = [
        f"{counted(plan['scans'], 'scan')}, {aside} of them to be set aside"
        + (":" if aside else "")
    ]
    lines += [
        f"  {q['subject']} {q['session']} ({q['protocol']}): {q['code']}: {q['message']}"
        for q in plan["quarantine"]
    ]
    lines += _remedies(q["code"] for q in plan["quarantine"])
    lines.append(
        f"{'stage':<10}{'units':>8}{'written':>13}{'memory of one':>16}{'one core':>13}{'GPU':>11}"
    )
    lines += [_planned(s["stage"], s) for s in plan["stages"] if s["units"]]
    total = {
        k: sum(s[k] for s in plan["stages"]) for k in ("units", "bytes", "cpu_hours", "gpu_hours")
    }
    peak = max((s["peak_bytes"] for s in plan["stages"]), default=0)
    lines.append(_planned("all", {**total, "peak_bytes": peak}))
    return "\n".join(lines)


def _planned(name: str, stage: Facts) -> str:
    gpu = duration(3600 * stage["gpu_hours"]) if stage["gpu_hours"] else ""
    return (
        f"{name:<10}{stage['units']:>8}{stage['bytes'] / MIB:>9.0f} MiB{stage['peak_bytes'] / MIB:>12.0f} MiB"
        f"{duration(3600 * stage['cpu_hours']):>13}{gpu:>11}"
    )


def status_text(found: Facts, failures: Sequence[Facts], notes: Sequence[Facts] = ()) -> str:
    """Say how far a run is."""
    known = "" if found["state"] == "done" else " as far as is known"  # units follow from others
    lines = [f"{found['state']}: {found['left']} left{known}, {found['failed']} failed"]
    if found["state"] == "running":
        end = found["end"]
        lines[0] += f"; ends {end_words(end['seconds'])}" if end else "; the end is not known yet"
    elif found["state"] == "stopped":
        lines[0] += "; `somray run` with the same COHORT.yaml goes on from there"
    for stage in found["stages"]:
        ended, failed = ended_units(stage), stage["failed"]
        total = ended + stage["left"]
        if total:
            more = f"{failed:>8} failed" if failed else ""
            lines.append(f"  {stage['stage']:<10}{f'{ended}/{total}':>14}{more}")
    return "\n".join([*lines, *failure_lines(failures), *_note_lines(notes)])


def run_text(summary: Facts, failures: Sequence[Facts], notes: Sequence[Facts] = ()) -> str:
    """Say how a run ended, what could not be done and why, and what to do next."""
    done, aside = summary["scans_done"], summary["scans_set_aside"]
    broken = sum(row["stage"] != "ingest" for row in failures)
    counts = [f"{done} scan{'' if done == 1 else 's'} done"]
    counts += [f"{aside} set aside"] if aside else []
    counts += (
        [f"{broken} further unit{'' if broken == 1 else 's'} of work failed"] if broken else []
    )
    lines = [f"done in {duration(summary['seconds'])}: {', '.join(counts)}"]
    lines += failure_lines(failures)
    if failures:
        lines.append("  then give the same command again: it does only what is left")
    lines += _note_lines(notes)
    lines.append(f"report: {summary['report']}")
    export = f"somray export {shlex.quote(summary['run'])} --format nifti --out masks"
    lines.append(f"next: open the report; for masks as NIfTI: {export}")
    return "\n".join(lines)


def failure_lines(failures: Sequence[Facts]) -> Iterator[str]:
    """Say what could not be done and why, each once, then what to do; the rest stands in table `failures`."""
    told = list(dict.fromkeys(map(_failure_line, failures)))
    yield from told[:MOST_FAILURES]
    if len(told) > MOST_FAILURES:
        yield f"  and {len(told) - MOST_FAILURES} more in table `failures`"
    yield from _remedies(row["code"] for row in failures)


def _failure_line(row: Facts) -> str:
    whose = [row[key] for key in ("subject", "session") if row[key]] or [row["protocol"]]
    words = " ".join(map(str, (row["stage"], *whose)))
    return f"  {words}: {row['code']}: {row['message']}"


def _note_lines(notes: Sequence[Facts]) -> Iterator[str]:
    """Say what was assumed, left out or decided; the rest stands in table `notes`."""
    for row in notes[:MOST_NOTES]:
        yield f"  note: {row['subject']} {row['session']}: {row['note']}"
    if len(notes) > MOST_NOTES:
        yield f"  and {len(notes) - MOST_NOTES} more in table `notes`"


def _remedies(codes: Iterable[str]) -> Iterator[str]:
    known = [code for code in dict.fromkeys(codes) if code in REMEDIES]
    if known:
        yield "what to do:"
        yield from (f"  {code}: {REMEDIES[code]}" for code in known)
