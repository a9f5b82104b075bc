"""`somray export --format nifti | nrrd`: masks come back where they were drawn, on the source's own grid."""

import json

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from somray.cli import main
from somray.io.masks.name_tables import names_of_text
from tests.commands.ingested import balls, ingested

SHAPE = (9, 8, 7)  # x, y, z
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def export(run, out, form, *arguments, code=0):
    assert main(["export", str(run), "--format", form, "--out", str(out), *arguments]) == code


def told(run, out, form, capsys, *arguments):
    export(run, out, form, "--json", *arguments)
    return json.loads(capsys.readouterr().out)


def source(path, affine, times=1, seed=0):
    """Write a scan of noise; RAS affine, x fastest."""
    shape = (*SHAPE, times) if times > 1 else SHAPE
    image = np.random.default_rng(seed).normal(40, 200, shape).astype(np.float32)
    nib.Nifti1Image(image, affine).to_filename(path)
    return path


def grids():
    """Random affines: flipped, oblique, anisotropic, of metres and of micrometres."""
    spacing = st.tuples(*[st.floats(0.4, 6.0)] * 3)
    return st.builds(
        lambda seed, turn, spacing, flips, scale, origin: _affine(
            Rotation.random(random_state=seed).as_matrix() if turn else np.eye(3),
            np.array(spacing) * flips * scale,
            np.array(origin) * scale,
        ),
        st.integers(0, 2**31),
        st.booleans(),
        spacing,
        st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
        st.sampled_from([1.0, 1e-3, 50.0]),
        st.tuples(*[st.floats(-300, 300)] * 3),
    )


def _affine(rotation, steps, origin):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation * steps, origin
    return matrix


def centred(affine, at, radius):
    """Return a ball round a voxel, in LPS mm, its radius in the shortest step."""
    place = (TO_LPS @ affine @ [*at, 1.0])[:3]
    return (*place, radius * np.linalg.norm(affine[:3, :3], axis=0).min())


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(affine=grids())
def test_a_mask_comes_back_where_it_was_drawn_on_any_grid(tmp_path_factory, affine):
    folder = tmp_path_factory.mktemp("grid")
    path = source(folder / "a.nii.gz", affine)
    wanted = balls(centred(affine, (2, 3, 2), 1.5), centred(affine, (6, 5, 5), 2.2))
    run = ingested(folder, [("s", "t0", "a.nii.gz")], wanted)
    for form, ending in (("nifti", "nii.gz"), ("nrrd", "nrrd")):
        export(run, folder / form, form, "--label", "lesions")
        mask = SimpleITK.ReadImage(str(folder / form / f"sub-s_ses-t0_lesions.{ending}"))
        image = SimpleITK.ReadImage(str(path))
        scale = np.linalg.norm(affine[:3, :3], axis=0).min()
        assert np.allclose(mask.GetSpacing(), image.GetSpacing(), rtol=1e-5)
        assert np.allclose(mask.GetDirection(), image.GetDirection(), atol=1e-5)
        assert np.abs(np.subtract(mask.GetOrigin(), image.GetOrigin())).max() < 0.05 * scale
        # Where SimpleITK says that a voxel of the image lies, the ball must be.
        indices = np.array(list(np.ndindex(SHAPE)))
        places = np.array([image.TransformIndexToPhysicalPoint(i.tolist()) for i in indices])
        values = SimpleITK.GetArrayFromImage(mask)[tuple(indices[:, ::-1].T)]
        distance = np.linalg.norm(places[:, None] - [b[:3] for b in _balls_of(affine)], axis=2)
        sure = (np.abs(distance - [b[3] for b in _balls_of(affine)]) > 0.02 * scale).all(axis=1)
        assert np.array_equal(values[sure], wanted(places, 0)[sure])
        assert set(np.unique(values)) == {0, 1, 2}
        laid = SimpleITK.Resample(mask, image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
        assert np.array_equal(SimpleITK.GetArrayFromImage(laid), SimpleITK.GetArrayFromImage(mask))


def _balls_of(affine):
    return [centred(affine, (2, 3, 2), 1.5), centred(affine, (6, 5, 5), 2.2)]


@pytest.fixture
def oblique(tmp_path):
    affine = _affine(
        Rotation.from_euler("xyz", [20, -15, 40], degrees=True).as_matrix(),
        np.array([-0.8, 0.9, 3.0]),
        np.array([12.0, -40.0, 95.0]),
    )
    source(tmp_path / "a.nii.gz", affine)
    return ingested(
        tmp_path, [("s", "t0", "a.nii.gz")], balls(centred(affine, (4, 4, 3), 3.2))
    ), affine


def test_both_forms_units_and_names_are_written(oblique, tmp_path):
    run, affine = oblique
    export(run, tmp_path / "out", "nifti")
    image = nib.load(tmp_path / "out/sub-s_ses-t0_som.nii.gz")
    assert int(image.header["sform_code"]) == int(image.header["qform_code"]) == 1
    assert np.allclose(image.header.get_sform(), affine, atol=1e-5)
    assert np.allclose(image.header.get_qform(), affine, atol=1e-4)
    assert image.header.get_xyzt_units() == ("mm", "unknown")
    assert image.get_data_dtype() == np.uint8
    assert set(np.unique(np.asarray(image.dataobj))) == {2, 3}
    names = names_of_text(tmp_path / "out/sub-s_ses-t0_som.label")
    assert names[3] == "lesion"
    line = next(
        line
        for line in (tmp_path / "out/sub-s_ses-t0_som.label").read_text().splitlines()
        if line.startswith("3 ")
    )
    assert line == '3 217 84 30 1 1 1 "lesion"'  # the colour of labels/som in the run
    assert names_of_text(tmp_path / "out/sub-s_ses-t0_lesions.label") == {1: "lesion 1"}


def test_a_label_map_is_a_segmentation_for_slicer(oblique, tmp_path):
    export(oblique[0], tmp_path / "out", "nrrd", "--label", "som")
    values, header = nrrd.read(str(tmp_path / "out/sub-s_ses-t0_som.nrrd"))
    assert header["space"] == "left-posterior-superior"
    assert list(header["sizes"]) == list(SHAPE) == list(values.shape)
    assert [header[f"Segment{n}_LabelValue"] for n in range(4)] == ["1", "2", "3", "4"]
    assert header["Segment2_Name"] == "lesion"
    assert header["Segment2_Color"] == "0.85098 0.329412 0.117647"
    assert "SCT^52988006^Lesion" in header["Segment2_Tags"]
    assert header["Segment2_Extent"] == "0 8 0 7 0 6"
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"


def test_the_same_run_gives_the_same_bytes(oblique, tmp_path):
    for form in ("nifti", "nrrd"):
        export(oblique[0], tmp_path / "one", form)
        export(oblique[0], tmp_path / "two", form)
    files = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert len(files) == 9
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_time_stays_the_last_axis(tmp_path):
    source(tmp_path / "a.nii.gz", np.diag([2.0, 2, 2, 1]), times=3)

    def draw(places, t):
        return (np.abs(places[:, 2] - 2.0 * t) < 0.5).astype(int)

    run = ingested(tmp_path, [("s", "t0", "a.nii.gz")], draw)
    export(run, tmp_path / "out", "nifti", "--label", "student")
    export(run, tmp_path / "out", "nrrd", "--label", "student")
    image = np.asarray(nib.load(tmp_path / "out/sub-s_ses-t0_student.nii.gz").dataobj)
    values, header = nrrd.read(str(tmp_path / "out/sub-s_ses-t0_student.nrrd"))
    assert image.shape == values.shape == (*SHAPE, 3)
    assert np.array_equal(image, values)
    assert header["kinds"] == ["domain", "domain", "domain", "list"]
    for t in range(3):
        assert (np.unique(np.argwhere(image[..., t])[:, 2]) == t).all()


def test_only_what_is_asked_for_is_written(tmp_path, capsys):
    for n, name in enumerate("ab"):
        source(tmp_path / f"{name}.nii.gz", np.diag([2.0, 2, 2, 1]), seed=n)
    rows = [("s", "t0", "a.nii.gz"), ("s", "t1", "b.nii.gz")]
    run = ingested(tmp_path, rows, balls((-6, -6, 6, 3)))
    found = told(run, tmp_path / "out", "nrrd", capsys, "--session", "t1", "--label", "lesions")
    assert found == {
        "format": "nrrd",
        "files": [str(tmp_path / "out/sub-s_ses-t1_lesions.nrrd")],
        "left_out": [],
        "notes": [],
    }
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["sub-s_ses-t1_lesions.nrrd"]
    for wrong in (["--session", "t9"], ["--label", "organs"], ["--channel", "PET"]):
        export(run, tmp_path / "none", "nrrd", *wrong, code=2)
    message = capsys.readouterr().err
    assert "the run has t0, t1" in message
    assert "expected som, student, lesions" in message
    assert "protocol 'p' has CT" in message
    assert not (tmp_path / "none").exists()


def test_what_the_run_does_not_hold_is_left_out_with_its_reason(oblique, tmp_path, capsys):
    (tmp_path / "run/scans/sub-s_ses-t0.ome.zarr/labels/student/zarr.json").unlink()
    found = told(oblique[0], tmp_path / "out", "nifti", capsys)
    assert [one["label"] for one in found["left_out"]] == ["student"]
    assert "is not there, or not complete" in found["left_out"][0]["reason"]
    assert len(found["files"]) == 4


@pytest.mark.parametrize("change", ["gone", "another", "manifest"])
def test_without_its_source_a_mask_lies_on_the_runs_grid_and_says_so(
    oblique, tmp_path, capsys, change
):
    run, affine = oblique
    if change == "another":
        source(tmp_path / "a.nii.gz", affine @ np.diag([2.0, 1, 1, 1]))
    else:
        (tmp_path / ("a.nii.gz" if change == "gone" else "scans.csv")).unlink()
    found = told(run, tmp_path / "out", "nifti", capsys, "--label", "lesions")
    assert "on the run's grid" in found["notes"][0]["note"]
    image = nib.load(tmp_path / "out/sub-s_ses-t0_lesions.nii.gz")
    assert np.allclose(image.affine, affine, atol=1e-4)


def test_another_channels_grid_takes_the_nearest_voxels(tmp_path):
    source(tmp_path / "ct.nii.gz", np.diag([1.0, 1, 1, 1]))
    coarse = _affine(np.eye(3), np.array([2.0, -2.0, 2.0]), np.array([0.5, 6.5, 0.5]))
    nib.Nifti1Image(np.random.default_rng(1).random((4, 4, 3)), coarse).to_filename(
        tmp_path / "pet.nii.gz"
    )
    rows = [("s", "t0", "ct.nii.gz", "CT"), ("s", "t0", "pet.nii.gz", "PET")]

    def draw(places, t):
        return (places[:, 0] < -3.0).astype(int)  # x of RAS above 3 mm

    run = ingested(tmp_path, rows, draw, channels=("CT", "PET"), modality="PETCT")
    export(run, tmp_path / "out", "nifti", "--label", "student", "--channel", "PET")
    image = nib.load(tmp_path / "out/sub-s_ses-t0_student.nii.gz")
    assert np.allclose(image.affine, coarse)
    values = np.asarray(image.dataobj)
    assert values.shape == (4, 4, 3)
    assert np.array_equal(np.unique(np.argwhere(values)[:, 0]), [2, 3])  # 4.5 and 6.5 mm


def test_a_url_takes_files_as_a_folder_does(oblique, tmp_path):
    import fsspec

    export(oblique[0], "memory://masks", "nifti", "--label", "lesions")
    export(oblique[0], tmp_path / "out", "nifti", "--label", "lesions")
    with fsspec.open("memory://masks/sub-s_ses-t0_lesions.nii.gz") as file:
        assert file.read() == (tmp_path / "out/sub-s_ses-t0_lesions.nii.gz").read_bytes()


def test_a_file_that_cannot_be_finished_leaves_nothing(oblique, tmp_path, monkeypatch):
    from somray.io.writers import voxels

    def broken(self):
        yield b"0000"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(voxels.Voxels, "pieces", broken)
    export(oblique[0], tmp_path / "out", "nifti", code=4)
    assert list((tmp_path / "out").iterdir()) == []
