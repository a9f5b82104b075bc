"""Every block of docs/QUERIES.md runs; three engines answer alike, and as the cohort was made."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from somray.domain.run import RunLayout
from somray.domain.tables import DriftRow
from somray.io.storage import Storage
from somray.io.tables import row_to_plain, write_part
from tests.docs.cohort import BOXES, INTENSITY, VOXEL_MM3, build, write_scan
from tests.docs.queries import ENGINES, PAGE, SETUP, SHOWN, ask, questions, rows, setup

FOUND = questions()
TABLES = [name for name in FOUND if name[0].isdigit() and "pandas" in FOUND[name].blocks]
PIXELS = [name for name in FOUND if name[0].isdigit() and "xarray" in FOUND[name].blocks]
T01, T12 = ("t0", "t1"), ("t1", "t2")
KNOWN = {
    1: [("s01", "t1", 90, "PD", 13 / 15, 0.25, "new: lesion 3")],
    2: [
        ("p01", 1, *T01, "shrinking", 1000, 500, None), ("p02", 1, *T01, "stable", 800, 800, None),
        ("s01", 1, *T01, "enlarging", 1000, 2000, 90), ("s01", 1, *T12, "enlarging", 2000, 4000, 91),
        ("s01", 2, *T01, "stable", 500, 500, None), ("s01", 2, *T12, "stable", 500, 500, None),
    ],
    3: [
        ("p01", *T01, 0, 1, 0), ("p02", *T01, 0, 0, 0), ("s01", *T01, 1, 0, 0), ("s01", *T12, 0, 1, 0),
        ("s02", *T01, 0, 0, 0), ("s02", *T12, 0, 0, 0), ("s03", *T01, 0, 0, 1),
    ],
    4: [("s01", 3, 0.25), ("p02", 2, 0), ("s02", 3, -0.35), ("p01", 2, -0.5), ("s03", 2, None), ("s05", 2, None)],
    5: [("p01", 1, *T01, "shrinking", 12, 10.2, 6, 2.55), ("p01", 2, *T01, "resolved", 16, 7.6, None, None)],
    6: [("s02", "t0", 1, "t2", 3), ("s02", "t0", 2, "t1", 1), ("s02", "t0", 2, "t2", 1), ("s02", "t0", 2, "t2", 3)],
    8: [("chest-ct", "s04", "t0", "truncated", "in/s04_t0.nii: ends early; copy it again")],
    10: [("chest-ct", "som", 2, 0.75, 2.5, 3, 4, 0.895), ("chest-ct", "student", 2, 0.85, 2.3, 4, 4, 0.895)],
    11: [
        ("som", 0, 2, 1, 0.25), ("som", 1, 1, 1, 0.9), ("som", 10, 1, 1, 0.7),
        ("student", 0, 2, 2, 0.5), ("student", 1, 1, 1, 0.95), ("student", 10, 1, 1, 0.8),
    ],
    12: [
        ("s01", "sessions", 2, 0, 0, 0.3, 0.7), ("s01", "slices", 3, 1, 1, 0.3, None),
        ("s03", "sessions", 1, 0, 1, None, None),
    ],
    13: [
        ("s01", "t0", 0, 5, 0.55, 60, 60), ("s01", "t0", 0, 4, 0.95, 100, 300), ("s01", "t0", 0, 6, None, 0, 20),
    ],
    14: [
        ("som", "n1", 2, 0.75, 1800, 3, 1), ("som", "n2", 1, 0.25, 900, 1, 0), ("ingest", "n2", 1, 0.01, 36, 1, 0),
    ],
    15: [
        ("x01", "t0", "y", 0.05, 0.075, 0), ("x01", "t0", "z", 0.05, 0.075, 1),
        ("x01", "t1", "y", 0.05, 0.09, 0.5), ("x01", "t1", "z", 0.05, 0.09, 0.5),
    ],
    16: [(1, 100, 102, 102), (2, 50, 152, 152)],
}  # fmt: skip
"""Answers that follow from how the cohort was made, by number; nulls where no figure exists."""


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What the page leaves after its first blocks, in the folder that holds the run."""
    folder = tmp_path_factory.mktemp("queries")
    build(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield setup(FOUND, folder)


def number(question: str) -> int:
    return int(question.partition(".")[0])


def same(one: list[tuple], other: list[tuple]) -> bool:
    return len(one) == len(other) and all(
        a == pytest.approx(b, rel=1e-9) if isinstance(a, float) and b is not None else a == b
        for row, known in zip(one, other, strict=True)
        for a, b in zip(row, known, strict=True)
    )


def test_fifteen_questions_to_tables_and_three_to_pixels_stand_there_with_every_engine():
    assert [number(q) for q in (*TABLES, *PIXELS)] == list(range(1, 19))
    assert all(set(ENGINES) <= set(FOUND[q].blocks) for q in TABLES)


def test_no_block_of_code_stands_there_that_is_not_run():
    fences = re.findall(r"^```\w.*$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(fences) == sum(len(q.blocks) for q in FOUND.values())
    run = {SETUP: ENGINES, "Pixels": ("xarray",), "Other ways in": OTHERS}
    for name, question in FOUND.items():
        told = set(question.blocks) - {SHOWN, "clinical.csv"}
        assert told <= {*run.get(name, (*ENGINES, "xarray"))}, name


@pytest.mark.parametrize("question", TABLES)
def test_three_engines_answer_alike_and_rightly(names, question):
    columns, found = rows(ask(FOUND[question], "pandas", names))
    assert found
    for engine in ENGINES[1:]:
        told = rows(ask(FOUND[question], engine, names))
        assert told[0] == columns
        assert same(told[1], found), f"{engine}: {told[1]} against {found}"
    if number(question) in KNOWN:
        assert same(found, KNOWN[number(question)]), found
    assert _shown_columns(question) == columns


def test_the_mixed_model_gets_a_row_for_every_scan_and_no_logarithm_of_nothing(names):
    columns, found = rows(ask(FOUND[TABLES[6]], "pandas", names))
    table = pd.DataFrame(found, columns=columns)
    assert len(table) == len(
        names["table"]("scans").query("status == 'done' and modality != 'XCT'")
    )
    assert table.query("subject == 's01'")["volume_ml"].tolist() == [1.5, 2.8, 4.5]
    assert table.query("subject == 's05'")["log_volume"].isna().all()
    assert np.exp(table["log_volume"].dropna()).tolist() == pytest.approx(
        table["volume_ml"][table["volume_ml"] > 0].tolist()
    )
    assert table.query("subject == 's02'")[
        ["age", "arm"]
    ].drop_duplicates().to_numpy().tolist() == [[54.0, "placebo"]]
    assert table.query("subject == 's03'")["age"].isna().all()


def test_the_scan_that_drifted_comes_first_and_five_are_told(names):
    _, found = rows(ask(FOUND[TABLES[8]], "pandas", names))
    assert len(found) == 5
    assert found[0] == ("chest-ct", "s02", "t1", "drifted", 2.3, "CT", "intensity", -1.7)


@pytest.mark.parametrize("question", PIXELS)
def test_pixels_answer_as_they_were_painted(names, question):
    columns, found = rows(ask(FOUND[question], "xarray", names))
    assert _shown_columns(question) == columns
    if number(question) in KNOWN:
        assert same(found, KNOWN[number(question)])
    table = pd.DataFrame(found, columns=columns)
    if number(question) == 17:
        burden = names["table"]("burden").query("protocol == 'chest-ct'")
        volumes = burden.groupby("session")["volume_mm3"].sum() / VOXEL_MM3
        assert table[list(volumes.index)].sum().to_dict() == pytest.approx(volumes.to_dict())
    if number(question) == 18:
        told = table.set_index("region")["mean_difference_hu"]
        assert told["outside"] == 0.0  # brought back by exactly the step that was painted
        assert told["lesions"] > 30


def test_pet_is_measured_on_pet(names):
    code = FOUND[PIXELS[0]].blocks["xarray"]
    for ct, pet in (("s01", "p01"), ('c="CT"', 'c="PET"')):
        code = code.replace(ct, pet)
    here = dict(names)
    exec(code, here)
    for lesion, figures in here["answer"].set_index("lesion_id").iterrows():
        assert figures["from_pixels"] == pytest.approx(INTENSITY[lesion] / 10)
        assert figures["from_pixels"] == pytest.approx(figures["in_table"])


def _shown_columns(question: str) -> list[str]:
    return FOUND[question].blocks[SHOWN].splitlines()[0].split()


OTHERS = ("filters", "dask.dataframe", "xr.open_zarr")


def test_filters_read_what_they_say(names):
    here = dict(names)
    exec(FOUND["Other ways in"].blocks["filters"], here)
    assert sorted(here["some"]["volume_mm3"]) == [2500.0, 3000.0, 4000.0, 4200.0]
    assert set(here["some"]["protocol"]) == {"chest-ct"}


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # dask 2026.8 beside pandas 3.1
def test_dask_reads_tables(names):
    here = dict(names)
    exec(FOUND["Other ways in"].blocks["dask.dataframe"], here)
    assert here["largest"].to_dict() == {
        "s01": 4000.0, "s02": 4200.0, "s03": 900.0, "p01": 1000.0, "p02": 800.0
    }  # fmt: skip


def test_xarray_opens_a_scan_without_somray(names):
    here = dict(names)
    exec(FOUND["Other ways in"].blocks["xr.open_zarr"], here)
    assert here["image"].dims == ("t", "c", "z", "y", "x")
    voxel = np.argwhere(here["lesions"].to_numpy()[0] == 1).min(axis=0)
    assert voxel.tolist() == [low for low, _ in BOXES["t0"][1]]
    assert (here["affine"] @ [*voxel[::-1], 1])[:3].tolist() == [28.0, 40.0, 7.5]


def test_xarray_opens_a_scan_that_has_coarser_levels(names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_scan(
        Storage.at("run"),
        ("s01", "t0"),
        np.zeros((1, 1, 520, 520), np.float32),
        np.zeros((1, 520, 520), int),
    )
    assert Path("run/scans/sub-s01_ses-t0.ome.zarr/1").is_dir()
    here = dict(names)
    exec(FOUND["Other ways in"].blocks["xr.open_zarr"], here)
    assert here["image"].shape == (1, 1, 1, 520, 520)
    assert here["lesions"].shape == (1, 1, 520, 520)


def test_three_engines_read_parts_of_a_run_that_goes_on_and_leave_a_protocol_of_digits_text(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Storage.at("run").write_text(RunLayout.info, "{}")
    for session, protocol in (("t0", "007"), ("t1", "007"), ("t2", "010")):
        row = DriftRow("s01", session, "ok", 1.0, 0.0, "CT", "edge", 0.2, None, None)
        write_part(Storage.at("run"), "drift", protocol, session, [row_to_plain(row)])
    here = setup(FOUND, tmp_path)
    columns = ["session", "protocol", "sharpness"]
    known = [("t0", "007", None), ("t1", "007", None), ("t2", "010", None)]
    assert rows(here["table"]("drift")[columns].sort_values("session"))[1] == known
    assert (
        rows(here["duckdb"].sql(f"SELECT {', '.join(columns)} FROM drift ORDER BY session").pl())[1]
        == known
    )
    assert rows(here["scan"]("drift").select(columns).sort("session").collect())[1] == known
