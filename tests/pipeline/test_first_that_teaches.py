"""Where the reference is left to somray, the first scan of the manifest that can teach is the one."""

import numpy as np
import pytest

import somray
from somray.kernels.teacher.interest import LEAST_BODY, LEAST_PIXELS, slice_lack
from tests.pipeline.tiny import body, run_tiny, save, write_manifest

SHAPE = (2, 32, 32)


def blank(few=9):
    values = np.full(SHAPE, 40, np.int16)
    values[0, 0, :few] = 900
    return values


def air():
    return np.random.default_rng(0).normal(-1000, 10, SHAPE).astype(np.int16)


def cohort(folder, volumes):
    folder.mkdir()
    for name, values in volumes.items():
        save(folder / f"{name}.nii", values)
    write_manifest(folder, [(name, "0", "p", f"{name}.nii") for name in volumes])
    return folder


def test_the_first_scan_that_can_teach_is_the_reference_and_says_which_were_passed(tmp_path):
    tiny = body((2, 12, 12))
    volumes = {
        "blank": blank(),
        "air": air(),
        "tiny": tiny,
        "good": body(SHAPE),
        "next": body(SHAPE, 1),
    }
    folder = cohort(tmp_path / "all", volumes)
    summary = run_tiny(folder)
    assert (summary["failed"], summary["broken"]) == (0, 0)
    run = somray.open_run(folder / "run")
    model = run.teacher("p")
    assert model.reference[0][0] == "good"
    told = "(blank 0 can teach nothing: slice 0, its best, is blank but for 9 pixels; air 0 can teach nothing: "
    assert told in model.fitted_on
    assert "tiny 0 can teach nothing: slice 0, its best, has 144 pixels" in model.fitted_on
    assert run_tiny(folder)["executed"] == 0
    alone = cohort(tmp_path / "alone", {"good": body(SHAPE)})
    run_tiny(alone)
    one = somray.open_run(alone / "run")
    assert one.teacher("p").codebook.weights.tobytes() == model.codebook.weights.tobytes()
    assert (one.scan("good", "0").som.values == run.scan("good", "0").som.values).all()


def test_where_no_scan_can_teach_it_is_one_failure(tmp_path):
    folder = cohort(tmp_path / "none", {"air": air(), "blank": blank()})
    assert run_tiny(folder)["broken"] == 1
    failures = somray.open_run(folder / "run").table("failures")
    assert failures[["stage", "code"]].values.tolist() == [["teacher", "not_fittable"]]
    message = failures.message.item()
    assert (
        "no scan can teach: air 0 can teach nothing: slice 0, its best, shows nothing but air"
        in message
    )
    assert run_tiny(folder)["executed"] == 0


@pytest.mark.parametrize(
    ("image", "modality", "channels", "words"),
    [
        (np.full((1, 40, 40), 7.0), "MR", ("MR",), "is blank"),
        (np.full((1, 40, 40), np.nan), "MR", ("MR",), "has 0 pixels with data"),
        (np.arange(225.0).reshape(1, 15, 15), "XCT", ("XCT",), "has 225 pixels with data"),
        (np.stack([np.arange(1600.0) - 2000] * 2).reshape(2, 40, 40), "PETCT", ("CT", "PET"), "shows nothing but air"),
        (np.arange(1600.0).reshape(1, 40, 40) - 2000, "MR", ("MR",), ""),
        (np.arange(1600.0).reshape(1, 40, 40) - 1000, "CT", ("CT",), ""),
    ],
)  # fmt: skip
def test_what_can_teach_nothing_is_told_from_its_values(image, modality, channels, words):
    assert slice_lack(image.astype(np.float32), modality, channels) == words
    assert LEAST_BODY < LEAST_PIXELS < 40 * 40
