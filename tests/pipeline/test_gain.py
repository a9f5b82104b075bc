"""MR of another gain: the same classes, unless a person fixed the window."""

import numpy as np
import pytest

from somray.io.run import open_run
from tests.pipeline.tiny import body, run_tiny, save, write_manifest


def agreement(folder, gain, **protocol):
    """Return in which share of pixels the maps of one scan at two gains agree."""
    folder.mkdir()
    values = body((8, 40, 40)).astype(np.float32)
    values = np.where(values < -500, 5 + values * 0.002 + 2, values + 200)
    save(folder / "a.nii.gz", values)
    save(folder / "b.nii.gz", values * gain)
    how = {"modality": "MR", "segment": "som", "registration": {"pairs": []}, **protocol}
    rows = [("s", "t0", "p", "a.nii.gz"), ("s", "t1", "p", "b.nii.gz")]
    write_manifest(folder, rows, {"p": how})
    run_tiny(folder)
    run = open_run(folder / "run")
    one, other = (run.scan("s", session).som.values for session in ("t0", "t1"))
    drift = run.table("drift").set_index("session").status
    return float(np.mean(one == other)), drift["t1"]


@pytest.mark.parametrize("gain", [0.31, 3.7])
def test_classes_do_not_hang_on_the_gain(tmp_path, gain):
    same, drift = agreement(tmp_path / "auto", gain)
    assert same > 0.98
    assert drift == "ok"


def test_a_window_that_a_person_fixed_stays_fixed(tmp_path):
    same, drift = agreement(
        tmp_path / "fixed", 3.7, channels=["T1"], intensity={"T1": {"window": [0, 700]}}
    )
    assert same < 0.9
    assert drift != "ok"
