"""Where everything lies inside a run; no other module builds such a path.

Paths are relative to the run's root and use "/", so they hold on disk and in a bucket alike.
"""

from dataclasses import dataclass

__all__ = ["RunLayout", "ScanPlace"]


class RunLayout:
    """The names of a run's files."""

    info = "run.json"
    config = "cohort.yaml"
    state = "work/state.json"
    claim = "work/claim.json"
    forecast = "work/forecast.json"
    report_index = "report/index.html"
    ledgers = "work/ledger"
    training = "work/train"
    pretraining = "work/pretrain"
    report_records = "work/report"
    scans = "scans"
    models = "models"
    under_way = "work/pairs"

    @staticmethod
    def probe(token: str) -> str:
        """A file that is written and removed at once, to see whether a run can be written."""
        return f"work/probe-{token}"

    @staticmethod
    def group(scan: str) -> str:
        """Name of a scan's group among the scans; `scan` is what its units are called."""
        return f"{scan}.ome.zarr"

    @staticmethod
    def scan(subject: str, session: str) -> str:
        """OME-Zarr group of one scan."""
        return f"{RunLayout.scans}/{RunLayout.group(f'sub-{subject}_ses-{session}')}"

    @staticmethod
    def pairs(scan: str, t: int) -> str:
        """Folder of the slice pairs that slabs under way have finished, per scan and time."""
        return f"{RunLayout.under_way}/{scan}/t{t}"

    @staticmethod
    def shards(protocol: str, scan: str) -> str:
        """Zarr group of what a protocol's encoder learns from one scan; `scan` is what its units are called."""
        return f"{RunLayout.protocol_shards(protocol)}/{scan}.zarr"

    @staticmethod
    def protocol_shards(protocol: str) -> str:
        """Folder of what one protocol's encoder learns from."""
        return f"{RunLayout.pretraining}/{protocol}"

    @staticmethod
    def states(training: str) -> str:
        """Folder of where a training stands; gone once its model does not need it."""
        return f"{RunLayout.training}/{training}"

    @staticmethod
    def model(protocol: str) -> str:
        """Folder of a protocol's teacher and student."""
        return f"{RunLayout.models}/{protocol}"

    @staticmethod
    def table(table: str) -> str:
        """Folder of one table, hive-partitioned by protocol."""
        return f"tables/{table}"

    @staticmethod
    def partition(table: str, protocol: str) -> str:
        """Folder of one protocol's parts of a table."""
        return f"tables/{table}/protocol={protocol}"

    @staticmethod
    def ledger(stage: str, protocol: str) -> str:
        """Folder of the done-marks of a stage."""
        return f"{RunLayout.ledgers}/{stage}/{protocol}"

    @staticmethod
    def report_subject(subject: str) -> str:
        """The report's page of one subject."""
        return f"report/sub-{subject}.html"

    @staticmethod
    def report_record(subject: str) -> str:
        """What the report's page of one subject was made of."""
        return f"{RunLayout.report_records}/sub-{subject}.json"

    @staticmethod
    def report_method(protocol: str) -> str:
        """The report's page of how one protocol's teacher and student came about."""
        return f"report/method-{protocol}.html"

    @staticmethod
    def report_subjects(page: int) -> str:
        """The report's page, from 1, of a part of a large cohort's table of subjects."""
        return f"report/subjects-{page}.html"


@dataclass(frozen=True)
class ScanPlace:
    """Where one ingested scan lies and whose it is.

    Args:
        root: path or URL of the run.
        subject: as in the manifest.
        session: as in the manifest.
    """

    root: str
    subject: str
    session: str

    @property
    def name(self) -> str:
        """The scan's group inside the run."""
        return RunLayout.scan(self.subject, self.session)
