"""What `check` says before anything runs: damage of any kind, unlike units, assumptions, places that overlap."""

import json

import numpy as np
import pytest
import tifffile

import somray
from somray.cli import main
from somray.commands.launch import load_cohort
from somray.errors import QUARANTINE_CODES, ConfigError
from somray.pipeline.plan import make_plan
from tests.io.dicom_files import make_pet, make_slice
from tests.io.dicom_files import save as save_slices
from tests.io.readers.damage import damage
from tests.io.readers.valid_files import MAKERS
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest

PET = {**QUICK, "modality": "PET"}
SUV, ACTIVITY, COUNTS = {}, {"PatientWeight": None}, {"Units": "CNTS", "PatientWeight": None}


def test_damaged_files_end_neither_check_nor_ingest(tmp_path):
    rows = []
    for seed in range(2 * len(MAKERS)):
        place = tmp_path / f"d{seed}"
        place.mkdir()
        _, source = damage(place, seed + 5000)
        rows.append((f"d{seed}", "t0", "p", str(source.relative_to(tmp_path))))
    write_manifest(tmp_path, rows, {"p": {**QUICK, "modality": "other"}})
    plan = make_plan(load_cohort(tmp_path / "cohort.yaml"))
    codes = {one["code"] for one in plan.quarantine}
    assert codes <= set(QUARANTINE_CODES) - {"internal"}
    assert 0 < len(plan.quarantine) < len(rows)


def pet_cohort(folder, headers):
    """Write one PET series per name, each with its own changes of the header and its own values."""
    for n, (name, header) in enumerate(headers.items()):
        rng = np.random.default_rng(n)
        slices = []
        for z in range(4):
            stored = rng.integers(0, 9000, (6, 8)).astype("<i2").tobytes()
            slices.append(make_pet(3.0 * z, PixelData=stored, **header))
        save_slices(folder / name, slices)
    write_manifest(folder, [(name, "t0", "p", name) for name in headers], {"p": PET})
    return load_cohort(folder / "cohort.yaml")


def set_aside(quarantine):
    return {one["subject"]: one["code"] for one in quarantine}


@pytest.mark.parametrize(
    ("headers", "others"),
    [
        ({"a": ACTIVITY, "b": SUV, "c": SUV}, {"a"}),
        ({"a": SUV, "b": ACTIVITY, "c": ACTIVITY}, {"a"}),
        ({"a": COUNTS, "b": ACTIVITY, "c": SUV}, {"a", "b"}),
        ({"a": COUNTS, "b": COUNTS}, set()),
    ],
)
def test_scans_in_another_unit_than_their_protocol_are_set_aside(headers, others, tmp_path):
    plan = make_plan(pet_cohort(tmp_path, headers))
    assert set_aside(plan.quarantine) == dict.fromkeys(others, "no_units")


def test_a_run_sets_the_same_scans_aside_as_check_and_again_when_run_again(tmp_path):
    cohort = pet_cohort(tmp_path, {"a": ACTIVITY, "b": SUV, "c": SUV})
    for _ in range(2):
        run_tiny(tmp_path)
        run = somray.open_run(cohort.storage.root)
        failures = run.table("failures").query("stage == 'ingest'")
        assert dict(zip(failures.subject, failures.code, strict=True)) == {"a": "no_units"}
        assert "SUVbw" in failures["message"].iloc[0]
        scans = run.table("scans").set_index("subject")
        assert scans.loc["a", "status"] == "quarantined"
        assert set(scans.loc[["b", "c"], "unit"]) == {"SUVbw"}
    write_manifest(
        tmp_path, [("a", "t0", "p", "a")], {"p": PET}
    )  # alone, its unit is the protocol's
    run_tiny(tmp_path)
    assert somray.open_run(cohort.storage.root).table("scans")["unit"].tolist() == ["Bq/ml"]


def test_what_headers_leave_open_is_noted_for_people_and_not_in_json(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", body().astype(np.uint16))
    write_manifest(tmp_path, [("a", "t0", "p", "a.tif")], {"p": {**QUICK, "modality": "XCT"}})
    assert main(["check", str(tmp_path / "cohort.yaml"), "--json"]) == 0
    told = capsys.readouterr()
    assert set(json.loads(told.out)) == {"scans", "quarantine", "stages"}
    assert told.err.startswith("note: spacing_assumed: ")
    assert "(a t0)" in told.err


@pytest.mark.parametrize(("output", "path"), [("dicom/run", "dicom"), ("run", "run/scans/a.nii")])
def test_an_output_that_overlaps_its_sources_is_refused(output, path, tmp_path):
    place = tmp_path / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if path == "dicom":
        save_slices(place, [make_pet(3.0 * z) for z in range(3)])
    else:
        save(place, body())
    write_manifest(tmp_path, [("a", "t0", "p", path)])
    with pytest.raises(ConfigError, match="choose another output"):
        load_cohort(tmp_path / "cohort.yaml", (f"output={output}",))


def test_ct_that_is_not_in_hu_is_found_by_ingest_and_sound_ct_is_not(tmp_path):
    sound = body((8, 64, 64))
    made = {
        "sound": sound, "offset": sound + 1024, "grey": np.clip((sound + 1000) / 6, 0, 255).astype(np.uint8),
        "unit01": np.clip((sound + 1000) / 2000, 0, 1).astype(np.float32),
        "attenuation": np.clip((sound + 1000) * 0.00019, 0, None).astype(np.float32),
        "u16": np.clip(sound + 1024, 0, None).astype(np.uint16) * 16,
    }  # fmt: skip
    for name, values in made.items():
        save(tmp_path / f"{name}.nii", values)
    rows = [(name, "t0", "p", f"{name}.nii") for name in made]
    stored = np.clip(sound[:, ::8] + 1024, 0, None).astype("<i2")  # called HU, and never rescaled
    told = {"Rows": 8, "Columns": 64, "RescaleSlope": "1", "RescaleIntercept": "0"}
    save_slices(
        tmp_path / "filled",
        [make_slice((0, 0, 2.0 * z), PixelData=p.tobytes(), **told) for z, p in enumerate(stored)],
    )
    made["filled"] = stored
    write_manifest(tmp_path, [*rows, ("filled", "t0", "p", "filled")])
    run_tiny(tmp_path)
    found = somray.open_run(tmp_path / "run").table("failures").query("stage == 'ingest'")
    assert dict(zip(found.subject, found.code, strict=True)) == dict.fromkeys(
        set(made) - {"sound"}, "no_units"
    )
    assert all("Hounsfield" in message for message in found["message"])
