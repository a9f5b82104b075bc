import asyncio
import dataclasses
import json

import pandas as pd
import pytest

from somray.domain.tables import TABLES, SliceRow
from somray.domain.work import Result, Unit
from somray.errors import DataError, StoreError
from somray.io.storage import Storage
from somray.pipeline import run_tables
from somray.pipeline.record import RunRecord
from somray.runtime.serial import SerialExecutor


def _unit(name, digest="d", stage="som"):
    return Unit(stage, name, "p", digest, name, subject="s", session="t0")


def _rows(item, shared):
    return Result({"slices": [SliceRow("s", "t0", "som", 0, int(item[1:]), 1.0, 0.5, None)]})


def _bad(item, shared):
    raise DataError("blank", "all of it is zero")


def _broken(item, shared):
    raise RuntimeError("oops")


def _run(record, *units, function=_rows):
    async def go():
        return [await record.do(function, unit) for unit in units]

    return asyncio.run(go())


def _record(tmp_path):
    return RunRecord(Storage.at(tmp_path), SerialExecutor())


def _table(tmp_path, name):
    return pd.read_parquet(tmp_path / "tables" / name)


def test_a_done_unit_is_not_done_again(tmp_path):
    first = _record(tmp_path)
    _run(first, _unit("z0"), _unit("z1"))
    second = _record(tmp_path)
    _run(second, _unit("z0"), _unit("z1"), _unit("z2"))
    assert (first.executed, second.executed) == (2, 1)


def test_what_a_killed_worker_had_begun_to_write_goes_at_the_end(tmp_path):
    """Looked for by whoever goes on from a run that did not end well, and by nobody else."""
    place = tmp_path / "work"
    record = _record(tmp_path)
    _run(record, _unit("u1"))
    (place / ".0.1234.partial").write_bytes(b"half")
    record.finish(["p"])
    assert list(place.glob("*.partial")) == []
    record.state.write("done")
    record.close()
    record = _record(tmp_path)
    _run(record, _unit("u2"))
    (place / ".0.1234.partial").write_bytes(b"half")
    record.finish(["p"])
    record.close()
    assert len(list(place.glob("*.partial"))) == 1


def test_rows_can_be_read_while_the_run_goes_on(tmp_path):
    _run(_record(tmp_path), _unit("z0"), _unit("z1"))
    assert sorted(_table(tmp_path, "slices")["z"]) == [0, 1]


def test_every_table_exists_with_its_columns_after_a_run(tmp_path):
    record = _record(tmp_path)
    _run(record, _unit("z0"))
    record.finish(["p", "q"])
    for name in TABLES:
        assert (tmp_path / f"tables/{name}/protocol=q/compacted.parquet").exists()
    assert len(_table(tmp_path, "slices")) == 1
    assert list(_table(tmp_path, "evolution").columns)[-1] == "protocol"


def test_a_unit_with_a_new_digest_replaces_its_rows_even_after_compaction(tmp_path):
    record = _record(tmp_path)
    _run(record, _unit("z0"), _unit("z1"))
    record.finish(["p"])
    again = _record(tmp_path)
    _run(again, _unit("z0"), _unit("z1", "d2"))
    assert sorted(_table(tmp_path, "slices")["z"]) == [0, 1]
    again.finish(["p"])
    assert sorted(_table(tmp_path, "slices")["z"]) == [0, 1]


def test_units_that_no_longer_belong_to_the_run_leave_the_tables(tmp_path):
    record = _record(tmp_path)
    _run(record, _unit("z0"), _unit("z1"))
    record.finish(["p"])
    smaller = _record(tmp_path)
    _run(smaller, _unit("z0"))
    smaller.finish(["p"])
    assert list(_table(tmp_path, "slices")["z"]) == [0]


def test_a_bad_scan_is_remembered_and_a_broken_unit_is_tried_again(tmp_path):
    record = _record(tmp_path)
    _run(record, _unit("z0"), function=_bad)
    _run(record, _unit("z1"), function=_broken)
    assert (record.state.failed, record.broken) == (2, 1)
    failures = _table(tmp_path, "failures").set_index("code")
    assert failures.loc["blank", "message"] == "all of it is zero"
    assert "RuntimeError" in failures.loc["internal", "message"]
    again = _record(tmp_path)
    _run(again, _unit("z0"), function=_bad)
    _run(again, _unit("z1"))
    assert (again.executed, again.state.failed, again.broken) == (1, 1, 0)
    again.finish(["p"])
    assert list(_table(tmp_path, "failures")["code"]) == ["blank"]


def test_a_protocol_without_a_teacher_is_a_failed_run_whatever_the_reason(tmp_path):
    record = _record(tmp_path)
    _run(record, _unit("p", stage="teacher"), function=_bad)
    assert (record.state.failed, record.broken) == (1, 1)


def test_storage_that_fails_stops_the_run(tmp_path):
    def full(item, shared):
        raise StoreError("no space left")

    with pytest.raises(StoreError, match="no space left"):
        _run(_record(tmp_path), _unit("z0"), function=full)


def test_work_that_wipes_others_makes_them_due_again(tmp_path):
    _run(_record(tmp_path), _unit("z0+som+t0"), _unit("z10+som+t0"), function=lambda i, s: Result())
    record = _record(tmp_path)

    async def go():
        unit = _unit("z0+som", stage="open")
        await record.do(lambda i, s: Result(), unit)
        for name in ("z0+som+t0", "z10+som+t0"):
            await record.do(lambda i, s: Result(), _unit(name))

    asyncio.run(go())
    assert record.executed == 2


def test_left_is_above_zero_until_the_run_is_done(tmp_path):
    record = _record(tmp_path)
    state = tmp_path / "work/state.json"
    assert json.loads(state.read_text())["left"] > 0
    _run(record, _unit("z0"))
    assert record.state.summary("running")["left"] > 0
    assert record.state.write("done")["left"] == 0
    assert json.loads(state.read_text())["state"] == "done"


def test_an_older_driver_stops_when_a_later_one_takes_over(tmp_path):
    older = _record(tmp_path)
    later = _record(tmp_path)
    with pytest.raises(StoreError, match="taken over"):
        older.state.write("done")
    assert later.state.write("done")["state"] == "done"


def test_tables_have_the_same_bytes_whatever_the_order_of_units(tmp_path):
    for folder, names in (("a", ("z0", "z1", "z2")), ("b", ("z2", "z0", "z1"))):
        record = _record(tmp_path / folder)
        _run(record, *(_unit(name) for name in names))
        record.finish(["p"])
    parts = [tmp_path / f / "tables/slices/protocol=p/compacted.parquet" for f in "ab"]
    assert parts[0].read_bytes() == parts[1].read_bytes()


def _live(tmp_path):
    """What a reader sees in `slices`, and the parts that it is made of."""
    folder = tmp_path / "tables/slices/protocol=p"
    return sorted(_table(tmp_path, "slices")["z"]), sorted(p.stem for p in folder.iterdir())


def test_new_units_stand_beside_what_an_earlier_run_compacted(tmp_path):
    record = _record(tmp_path)
    _run(record, _unit("z0"), _unit("z1"))
    record.finish(["p"])
    _run(_record(tmp_path), _unit("z0"), _unit("z1"), _unit("z2"))
    assert _live(tmp_path) == ([0, 1, 2], ["compacted", "som-z2"])


def test_a_changed_unit_turns_its_own_stage_alone_into_parts(tmp_path):
    record = _record(tmp_path)
    _run(record, _unit("z0"), _unit("z1"), _unit("z2", stage="segment"))
    record.finish(["p"])
    _run(_record(tmp_path), _unit("z1", "d2"))
    assert _live(tmp_path) == ([0, 1, 2], ["compacted", "som-z0", "som-z1"])


def test_rows_of_wiped_units_are_gone_for_readers_at_once(tmp_path):
    slabs = [dataclasses.replace(_unit(f"z{n}"), name=f"z{n}+som+t0") for n in range(2)]
    record = _record(tmp_path)
    _run(record, *slabs)
    record.finish(["p"])
    opened = dataclasses.replace(_unit("z1", stage="open"), name="z1+som")
    _run(_record(tmp_path), opened, function=lambda item, shared: Result())
    assert _live(tmp_path)[0] == [0]


def test_a_driver_that_died_while_tables_were_parted_loses_no_row(tmp_path, monkeypatch):
    record = _record(tmp_path)
    _run(record, *(_unit(f"z{n}") for n in range(4)))
    record.finish(["p"])
    real, left = run_tables.write_part, [3]

    def dying(*arguments):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        real(*arguments)

    monkeypatch.setattr(run_tables, "write_part", dying)
    with pytest.raises(KeyboardInterrupt):
        _run(_record(tmp_path), _unit("z2", "d2"))
    monkeypatch.setattr(run_tables, "write_part", real)
    again = _record(tmp_path)
    _run(again, _unit("z0"), _unit("z1"), _unit("z2", "d2"), _unit("z3"))
    assert _live(tmp_path)[0] == [0, 1, 2, 3]
    again.finish(["p"])
    assert _live(tmp_path) == ([0, 1, 2, 3], ["compacted"])
