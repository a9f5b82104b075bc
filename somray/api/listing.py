"""What a run holds, by name: tables, protocols, subjects, sessions; a wrong name is answered with the nearest."""

from pathlib import Path
from typing import Any

import pandas as pd
import xarray

from somray.api.settings import nearest_name
from somray.api.shown.run import run_html, run_text
from somray.domain.run import RunLayout
from somray.domain.student import StudentModel
from somray.domain.tables import TABLES
from somray.domain.teacher import TeacherModel
from somray.errors import SomrayError, StoreError
from somray.io import run as reading
from somray.io.storage import is_url

__all__ = ["ListedRun", "NameNotFoundError", "require_run"]

_MOST_NAMED = 12


class NameNotFoundError(StoreError, KeyError):
    """A run holds nothing of that name; the message tells the nearest and the others."""

    def __str__(self) -> str:
        """Return the message as it is, which KeyError would quote."""
        return str(self.args[0])


class ListedRun(reading.StoredRun):
    """A run whose contents can be asked for by name."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the tables; `run.table(name)` reads one."""
        return tuple(TABLES)

    @property
    def protocols(self) -> tuple[str, ...]:
        """Names of the protocols, as in the configuration."""
        return tuple(self.config.protocols)

    @property
    def scans(self) -> pd.DataFrame:
        """The table `scans`, by subject and session in order of time (days where all are known, else by name)."""
        return self._scans.copy()

    @property
    def subjects(self) -> list[str]:
        """Names of the subjects."""
        return list(dict.fromkeys(self._scans["subject"]))

    def sessions(self, subject: str) -> list[str]:
        """Return a subject's sessions in order of time, quarantined ones too.

        Args:
            subject: as in the manifest.

        Raises:
            NameNotFoundError: there is no such subject; names the nearest.

        Example:
            `{s: run.sessions(s) for s in run.subjects}`
        """
        subjects = self.subjects
        if subject not in subjects:
            raise NameNotFoundError(
                f"{self.root}: no subject {subject!r}{_others(subject, subjects)}"
            )
        mine = self._scans[self._scans["subject"] == subject]
        return list(mine["session"])

    def table(self, name: str) -> pd.DataFrame:
        """Read one table; `protocol` stands as a column.

        Args:
            name: one of `tables`; `schemas/tables.v1.json` tells what its columns mean.

        Raises:
            NameNotFoundError: there is no such table; names the nearest.

        Example:
            `run.table("evolution").groupby("change").size()`
        """
        if name not in TABLES:
            raise NameNotFoundError(f"no table {name!r}{_others(name, TABLES)}")
        return super().table(name)

    def scan(self, subject: str, session: str | None = None) -> xarray.Dataset:
        """Open one scan lazily.

        Args:
            subject: as in the manifest.
            session: as in the manifest; may be left out where the subject has one.

        Returns:
            Dataset with `image` (t, c, z, y, x) float32 and the labels that exist (t, z, y, x);
            coordinates z, y, x in mm: along the patient's own axes where the grid is parallel to
            them, from the first voxel's centre otherwise. The 4×4 affine stands in `attrs`.

        Raises:
            StoreError: there is no complete scan of that name; tells the nearest name, or why the scan was
                set aside.

        Example:
            `run.scan("s01", "t0").image.sel(c="CT").isel(t=0)`
        """
        session = self._session(subject) if session is None else session
        try:
            return super().scan(subject, session)
        except StoreError as error:
            raise self._missing(subject, session, error) from error

    def teacher(self, protocol: str) -> TeacherModel | None:
        """Return a protocol's teacher, or None while there is none.

        Args:
            protocol: one of `protocols`.

        Raises:
            NameNotFoundError: there is no such protocol.

        Example:
            `somray.Teacher.of(run.teacher("chest-ct")).predict(volume)`
        """
        self._require_protocol(protocol)
        return super().teacher(protocol)

    def student(self, protocol: str) -> StudentModel | None:
        """Return a protocol's student, or None where there is none.

        Args:
            protocol: one of `protocols`.

        Raises:
            NameNotFoundError: there is no such protocol.
        """
        self._require_protocol(protocol)
        return super().student(protocol)

    def __repr__(self) -> str:
        if is_url(self.root):  # a debugger that looks at it must not wait for the network
            return f"Run {self.root}"
        try:
            return run_text(self.root, *self._facts())
        except (SomrayError, OSError, ValueError, KeyError) as error:
            return f"Run {self.root}: not readable ({type(error).__name__})"

    def _repr_html_(self) -> str:
        """Show subjects and sessions with their status in a notebook."""
        return run_html(self.root, *self._facts())

    def _facts(self) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
        """Return scans and failures, and what the driver last wrote."""
        return self._scans, super().table("failures"), self.state()

    @property
    def _scans(self) -> pd.DataFrame:
        """The table `scans` as it stands now, in order."""
        rows = super().table("scans")
        if rows.empty:
            return rows
        known = rows["days"].notna().groupby(rows["subject"]).transform("all")
        keys = rows.assign(_when=rows["days"].where(known, 0.0))
        ordered = keys.sort_values(["subject", "_when", "session"], kind="stable")
        return pd.DataFrame(ordered.drop(columns="_when").reset_index(drop=True))

    def _session(self, subject: str) -> str:
        """Return a subject's only session."""
        sessions = self.sessions(subject)
        if len(sessions) != 1:
            raise NameNotFoundError(
                f"{self.root}: {subject} has sessions {', '.join(sessions)}: say which, for example "
                f"run.scan({subject!r}, {sessions[0]!r})"
            )
        return sessions[0]

    def _missing(self, subject: str, session: str, error: StoreError) -> StoreError:
        """Say why there is no such scan."""
        rows = self._scans
        if rows.empty:
            return error
        sessions = self.sessions(subject)  # raises for a subject that is not known
        if session not in sessions:
            return NameNotFoundError(
                f"{self.root}: {subject} has no session {session!r}{_others(session, sessions)}"
            )
        failed = super().table("failures")
        mine = failed[(failed["subject"] == subject) & (failed["session"] == session)]
        if mine.empty:
            return StoreError(f"{self.root}: {subject} {session} is not complete yet: {error}")
        row = mine.iloc[0]
        return StoreError(
            f"{self.root}: {subject} {session} was set aside: [{row['code']}] {row['message']}"
        )

    def _require_protocol(self, protocol: str) -> None:
        """Refuse a protocol that the configuration does not name; a run without one is not asked."""
        if not self.storage.exists(RunLayout.config):
            return
        if protocol not in self.protocols:
            raise NameNotFoundError(
                f"{self.root}: no protocol {protocol!r}{_others(protocol, self.protocols)}"
            )


def _others(name: object, known: Any) -> str:  # Any: names of any collection
    """Say which name is near, and which there are."""
    names = [str(one) for one in known]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED + 3 else ""
    told = names if not more else names[:_MOST_NAMED]
    return f"{nearest_name(name, names)} There {'is' if len(names) == 1 else 'are'} {', '.join(told)}{more}"


def require_run(path: Any) -> None:  # Any: whatever a person typed
    """Refuse what cannot be a run, and say where one may be.

    Raises:
        StoreError: nothing is there, a file is, or the run lies further down.
    """
    if not isinstance(path, str | Path):
        raise StoreError(f"open_run takes the path or URL of a run, got {type(path).__name__}")
    place = Path(path)
    if is_url(str(path)):
        return
    if not place.exists():
        raise StoreError(
            f"{path}: there is no such folder (seen from {Path.cwd()}); a run lies where `output:` of its "
            "cohort.yaml says"
        )
    if not place.is_dir():
        raise StoreError(f"{path}: a file; a run is a folder, with run.json in it")
    if any((place / name).exists() for name in (RunLayout.info, RunLayout.state)):
        return
    for further in (*sorted(place.glob("*/" + RunLayout.info)), *_upwards(place)):
        raise StoreError(f"{path}: no run of somray itself; did you mean {further.parent}?")


def _upwards(place: Path) -> list[Path]:
    """Return the run that a folder lies in, if any."""
    parents = list(place.resolve().parents)[:4]
    return [parent / RunLayout.info for parent in parents if (parent / RunLayout.info).exists()]
