"""Protocols whose names read like numbers, dates or nothing come back from the tables as they were written."""

import pandas as pd
import pytest

import somray
from somray.domain.tables import TABLES
from somray.io.storage import Storage
from somray.io.tables import read_table, remove_others
from somray.report.pages import write_report
from tests.compacted import compact
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest

FAILURE = {
    "subject": "s", "session": "t0", "stage": "ingest", "code": "blank", "message": "", "attempts": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [
        ["001"], ["0"], ["1", "2"], ["001", "p"], ["3000000000"], ["1e3"], ["nan"], ["NULL"], ["true"],
        ["2024-01-01"], ["1.5"],
    ],
)  # fmt: skip
def test_pandas_reads_a_protocol_as_it_is_called(names, tmp_path):
    storage = Storage.at(tmp_path)
    for name in names:
        compact(storage, "failures", name, [FAILURE])
    frame = pd.read_parquet(tmp_path / "tables/failures")
    assert sorted(frame["protocol"]) == names
    assert sorted(read_table(storage, "failures")["protocol"]) == names
    found = pd.read_parquet(tmp_path / "tables/failures", filters=[("protocol", "==", names[0])])
    assert found["protocol"].tolist() == [names[0]]
    remove_others(storage, "failures", names[:1])
    assert read_table(storage, "failures")["protocol"].tolist() == names[:1]


def test_a_run_of_protocol_001_ends_with_its_report(tmp_path):
    for seed, name in enumerate("ab"):
        save(tmp_path / f"{name}.nii", body(seed=seed))
    rows = [("01", "01", "001", "a.nii"), ("02", "01", "001", "b.nii")]
    write_manifest(tmp_path, rows, {"001": QUICK})
    summary = run_tiny(tmp_path, report=write_report)
    assert (summary["failed"], summary["broken"]) == (0, 0)
    for table in TABLES:
        frame = pd.read_parquet(tmp_path / "run/tables" / table)
        assert set(frame["protocol"]) <= {"001"}
    scans = somray.open_run(tmp_path / "run").table("scans")
    assert set(scans["protocol"]) == {"001"}
    assert sorted(scans["subject"]) == ["01", "02"]
    assert run_tiny(tmp_path)["executed"] == 0
