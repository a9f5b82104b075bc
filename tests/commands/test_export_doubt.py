"""Data sets with what the run itself doubts: drawn by hand here, so that every voxel's label is known."""

import json

import nibabel as nib
import numpy as np
import pytest

from somray.cli import main
from somray.domain.run import RunLayout
from somray.io.ome import image as ome
from somray.io.storage import Storage
from tests.commands.ingested import balls, ingested
from tests.compacted import compact

SHAPE = (6, 12, 12)
LESION, DOUBT, BRAIN = (2, 2, 1), (2, 8, 4), (9, 5, 3)  # x, y, z of three balls
Z, Y, X = np.indices(SHAPE)


def ball(center, radius=1.6):
    x, y, z = center
    return (X - x) ** 2 + (Y - y) ** 2 + (Z - z) ** 2 < radius**2


def redrawn(storage, name, label, drawn, classes):
    kind = str(drawn.dtype)
    ome.create_labels(storage, name, label, kind)
    for brick in ome.read_meta(storage, name).bricks(0):
        ome.write_label_brick(storage, name, label, brick, drawn[brick.box])
    ome.finish_labels(storage, name, label, classes)


def object_row(number, called):
    texts = {"subject": "s", "session": "t0", "called": called, "by": "rule", "reason": "drawn"}
    figures = dict.fromkeys(
        ("volume_mm3", "centroid_z_mm", "centroid_y_mm", "centroid_x_mm", "peak_intensity",
         "mean_intensity", "sphericity"), 1.0
    )  # fmt: skip
    return {"t": 0, "object_id": number, **texts, **figures}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One scan of two channels: a lesion, a doubtful object, a brain; map, student and confidence say what follows."""
    folder = tmp_path_factory.mktemp("doubt")
    values = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    for name, channel in zip("ab", values, strict=True):
        nib.Nifti1Image(channel.T, np.diag([-1.0, -1, 1, 1])).to_filename(folder / f"{name}.nii.gz")
    rows = [("s", "t0", "a.nii.gz", "low"), ("s", "t0", "b.nii.gz", "PET")]
    place = ingested(folder, rows, balls((*LESION, 1.6)), channels=("low", "PET"))
    storage, name = Storage.at(place), RunLayout.scan("s", "t0")
    som = ball(LESION) | ball(DOUBT) | ball(BRAIN)
    student = ball(LESION) & (Z > 0)  # it leaves out a slice of the lesion, the doubt and the brain
    objects = (ball(LESION) + 2 * ball(DOUBT) + 3 * ball(BRAIN)).astype(np.int32)
    percent = np.where(ball((9, 10, 1)), 60, np.where(ball(BRAIN), 55, 99)).astype(np.uint8)
    redrawn(storage, name, "som", np.where(som, 3, 2).astype(np.uint8), {2: "normal", 3: "lesion"})
    redrawn(storage, name, "student", np.where(student, 3, 0).astype(np.uint8), {3: "lesion"})
    redrawn(storage, name, "confidence", percent, {99: "sure"})
    redrawn(storage, name, "objects", objects, {})
    called = ("lesion", "doubt", "physiological")
    compact(storage, "objects", "p", [object_row(n, c) for n, c in enumerate(called, start=1)])
    drift = {"subject": "s", "session": "t0", "status": "drifted", "distance_ratio": 3.0}
    drift |= {"far_fraction": 0.5, "channel": "PET", "feature": "edge", "shift": 4.0}
    compact(storage, "drift", "p", [drift | {"sharpness": None, "reason": "edges are softer"}])
    return place, values


def export(run, out, form, *further, code=0):
    assert main(["export", str(run), "--format", form, "--out", str(out), *further]) == code


def written(path):
    return np.asarray(nib.load(path).dataobj).T


def test_what_the_run_doubts_is_ignored_and_what_it_settled_is_not(run, tmp_path):
    export(run[0], tmp_path, "nnunet")
    folder = tmp_path / "Dataset501_p"
    facts = json.loads((folder / "dataset.json").read_text())
    assert facts["labels"] == {"background": 0, "lesion": 1, "ignore": 2}
    disagreement = (ball(LESION) & (Z == 0)) | ball(DOUBT)
    unsure = ball((9, 10, 1)) & ~ball(BRAIN)
    expected = ball(LESION).astype(np.uint8)
    expected[disagreement | unsure] = 2
    labels = written(folder / "labelsTr/sub-s_ses-t0.nii.gz")
    np.testing.assert_array_equal(labels, expected)
    (case,) = json.loads((folder / "labels.json").read_text())["cases"]
    n = labels.size
    assert case["ignored_by_reason"] == {
        "disagreement": disagreement.sum() / n,
        "object": ball(DOUBT).sum() / n,
        "unsure": unsure.sum() / n,
    }
    assert case["ignored_fraction"] == (expected == 2).sum() / n
    share = (ball(LESION) & (Z == 0)).sum() / ball(LESION).sum()
    assert case["labelled_ignored_fraction"] == share
    assert case["drift"] == "edges are softer"


def test_the_files_say_what_the_labels_are_not(run, tmp_path, capsys):
    export(run[0], tmp_path, "nnunet", "--json")
    found = json.loads(capsys.readouterr().out)
    assert any("ignored as doubtful" in note["note"] for note in found["notes"])
    folder = tmp_path / "Dataset501_p"
    text = (folder / "README.md").read_text()
    for words in ("No person labelled", "is not accuracy", "clinical use", "edges are softer"):
        assert words in text
    facts = json.loads((folder / "labels.json").read_text())
    assert set(facts["ignore"]) == {"object", "disagreement", "unsure"}
    assert facts["cases"][0]["source_digest"]
    assert (
        "without a human label" in json.loads((folder / "dataset.json").read_text())["description"]
    )


def test_without_ignore_the_mask_is_as_it_was(run, tmp_path):
    export(run[0], tmp_path, "nnunet", "--no-ignore")
    facts = json.loads((tmp_path / "Dataset501_p/dataset.json").read_text())
    assert facts["labels"] == {"background": 0, "lesion": 1}
    labels = written(tmp_path / "Dataset501_p/labelsTr/sub-s_ses-t0.nii.gz")
    np.testing.assert_array_equal(labels, ball(LESION))


def test_a_raw_mask_is_doubted_inside_a_settled_object_too(run, tmp_path):
    export(run[0], tmp_path, "nnunet", "--label", "student")
    labels = written(tmp_path / "Dataset501_p/labelsTr/sub-s_ses-t0.nii.gz")
    assert (labels[ball(BRAIN)] == 2).all()


@pytest.mark.filterwarnings("ignore:NvImgCodec")  # MONAI looks for what no CPU has
def test_monai_reads_a_decathlon_task(run, tmp_path):
    data = pytest.importorskip("monai.data")
    transforms = pytest.importorskip("monai.transforms")
    export(run[0], tmp_path, "decathlon")
    place = tmp_path / "Task501_p/dataset.json"
    facts = json.loads(place.read_text())
    assert facts["modality"] == {"0": "low", "1": "PET"}
    assert facts["labels"] == {"0": "background", "1": "lesion"}
    assert (facts["numTraining"], facts["test"], facts["tensorImageSize"]) == (1, [], "4D")
    (item,) = data.load_decathlon_datalist(str(place), True, "training")
    load = transforms.LoadImaged(keys=["image", "label"], ensure_channel_first=True)
    loaded = load(item)
    np.testing.assert_array_equal(loaded["image"].numpy().transpose(0, 3, 2, 1), run[1])
    np.testing.assert_array_equal(loaded["label"].numpy()[0].T, ball(LESION))
    export(run[0], tmp_path, "decathlon", "--ignore")
    assert json.loads(place.read_text())["labels"]["2"] == "ignore"


def test_a_class_called_ignore_needs_a_word(run, tmp_path, capsys):
    config = run[0] / RunLayout.config
    before = config.read_text()
    config.write_text(
        before.replace(
            "modality: other",
            "modality: other\n    teacher: {target: ignore, classes: {ignore: [3]}}",
        )
    )
    try:
        export(run[0], tmp_path, "nnunet", code=2)
    finally:
        config.write_text(before)
    assert "add --no-ignore" in capsys.readouterr().err
