"""What `somray view` says and does where a viewer, a display, a subject or room is missing."""

import json
import sys

import nibabel as nib
import nrrd
import numpy as np
import pytest
import tifffile

from somray.cli import main
from somray.commands.view import programs, show
from somray.commands.view.viewers import fiji, tiff
from tests.commands.ingested import balls, ingested


@pytest.fixture
def bare(monkeypatch):
    """A machine without any viewer, display or terminal."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(programs, "_USUAL", {})
    return monkeypatch


def seen(run, *arguments, capsys):
    assert main(["view", str(run), *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("viewer", ["napari", "neuroglancer", "itksnap", "slicer", "fiji"])
def test_without_the_viewer_files_are_written_and_it_is_said_how_to_get_it(
    petct, bare, viewer, tmp_path, capsys
):
    bare.setattr(show.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    assert main(["view", str(petct), "s", "t0", "--in", viewer]) == 0
    said = capsys.readouterr().err
    assert programs.INSTALL[viewer] in said
    assert f"files: {tmp_path}" in said
    assert "to open: " in said
    found = seen(petct, "s", "t0", "--in", viewer, capsys=capsys)
    assert (found["opened"], found["sessions"]) == (False, ["t0"])
    assert found["install"] == programs.INSTALL[viewer]
    assert all((tmp_path / name.rsplit("/", 1)[1]).exists() for name in found["files"])


def test_command_lines_are_the_viewers_own(petct, bare, tmp_path, capsys):
    def command(viewer):
        found = seen(petct, "s", "t1", "--in", viewer, "--out", str(tmp_path), capsys=capsys)
        (one,) = found["commands"]
        return [part.replace(str(tmp_path), "OUT") for part in one]

    assert command("napari") == ["python", "OUT/in_napari.py"]
    assert command("slicer") == ["Slicer", "--python-script", "OUT/in_slicer.py"]
    assert command("fiji") == ["fiji", "-macro", "OUT/view.ijm"]
    assert command("itksnap") == [
        "itksnap", "-g", "OUT/sub-s_ses-t1_CT.nii.gz", "-o", "OUT/sub-s_ses-t1_PET.nii.gz",
        "-s", "OUT/sub-s_ses-t1_lesions.nii.gz", "-l", "OUT/sub-s_ses-t1_lesions.label",
    ]  # fmt: skip


def test_napari_of_another_environment_is_opened_by_its_python(tmp_path, monkeypatch):
    (tmp_path / "env").mkdir()
    for name in ("napari", "python"):
        (tmp_path / "env" / name).write_text("#!/bin/sh\n")
        (tmp_path / "env" / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/napari").symlink_to(tmp_path / "env/napari")  # as pipx and uv leave it
    monkeypatch.setattr(programs.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    python = str(tmp_path / "env/python")
    assert programs.found_program("napari") == [python]
    assert programs.found_program("napari", str(tmp_path / "bin/napari")) == [python]
    assert programs.found_program("itksnap") is None


def test_debians_imagej_has_an_option_of_its_own():
    assert programs.command_of("fiji", ["/usr/bin/imagej"], ["-macro", "a"])[1:] == ["-m", "a"]
    assert programs.command_of("fiji", ["/opt/Fiji/fiji"], ["-macro", "a"])[1:] == ["-macro", "a"]


def test_a_window_for_each_session_where_one_holds_no_more(petct, tmp_path, capsys):
    found = seen(petct, "s", "--in", "itksnap", "--out", str(tmp_path), capsys=capsys)
    assert [one[2].rsplit("_", 2)[1] for one in found["commands"]] == ["ses-t0", "ses-t1"]


def test_a_found_viewer_is_started_and_left_alone(petct, tmp_path, capsys, monkeypatch):
    program = tmp_path / "itksnap"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/started\nexec sleep 30\n')
    program.chmod(0o755)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(programs, "START_SECONDS", 0.3)
    killed = []
    true = programs.subprocess.Popen
    monkeypatch.setattr(
        programs.subprocess, "Popen", lambda *a, **k: killed.append(true(*a, **k)) or killed[-1]
    )
    arguments = ["s", "t0", "--in", "itksnap", "--program", str(program)]
    assert main(["view", str(petct), *arguments]) == 0
    assert "opened in itksnap" in capsys.readouterr().err
    assert (tmp_path / "started").read_text().startswith("-g /")
    killed[0].kill()
    program.write_text("#!/bin/sh\nexit 7\n")
    assert main(["view", str(petct), *arguments]) == 0
    said = capsys.readouterr().err
    assert "ended at once with code 7" in said
    assert "to open: " in said


def test_without_a_display_nothing_is_started(petct, bare, tmp_path, capsys):
    program = tmp_path / "itksnap"
    program.write_text("#!/bin/sh\nexit 7\n")
    program.chmod(0o755)
    arguments = ["s", "t0", "--in", "itksnap", "--program", str(program)]
    assert main(["view", str(petct), *arguments]) == 0
    assert "there is no display here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s3"], "no subject 's3': did you mean s or s2?"),
        (["s", "t3"], "no session of s 't3': did you mean t1 or t0?"),
        (["s", "--in", "snap"], "did you mean itksnap?"),
        (["s", "--in", "slicer", "--program", "/none/Slicer"], "/none/Slicer: no such program"),
    ],
)
def test_what_there_is_not_is_refused_with_what_is_near(petct, arguments, message, capsys):
    assert main(["view", str(petct), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_what_has_no_room_is_refused_before_anything_is_written(
    petct, tmp_path, capsys, monkeypatch
):
    few = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(show.shutil, "disk_usage", lambda folder: few)
    assert main(["view", str(petct), "s", "--in", "fiji", "--out", str(tmp_path)]) == 2
    assert "name a roomier --out" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A tilted scan of three time points, with a lesion that sinks."""
    folder = tmp_path_factory.mktemp("moving")
    affine = np.diag([-2.0, -2.0, 2.0, 1.0])
    affine[1, 2] = 0.5
    image = np.random.default_rng(0).normal(0, 9, (9, 8, 7, 3)).astype(np.float32)
    nib.Nifti1Image(image, affine).to_filename(folder / "a.nii.gz")

    def draw(places, t):
        return balls((8, 8, 4 + 2 * t, 3))(places, t)

    return ingested(folder, [("m", "t0", "a.nii.gz")], draw, irregular="resample")


def test_time_points_are_kept_by_those_who_know_time(moving, tmp_path, capsys):
    found = seen(moving, "m", "--in", "fiji", "--out", str(tmp_path / "fiji"), capsys=capsys)
    with tifffile.TiffFile(tmp_path / "fiji/sub-m_ses-t0_image.tif") as file:
        assert file.series[0].axes == "TZYX"
        assert file.asarray().shape[0] == 3
    assert "t <= 3" in (tmp_path / "fiji/view.ijm").read_text()
    found = seen(moving, "m", "--in", "slicer", "--out", str(tmp_path / "slicer"), capsys=capsys)
    assert "first time point" in found["notes"][0]
    seen(moving, "m", "--in", "itksnap", "--out", str(tmp_path / "itk"), capsys=capsys)
    values, _ = nrrd.read(
        str(tmp_path / "itk/sub-m_ses-t0_lesions.nrrd")
    )  # ITK refuses it as NIfTI
    middles = []
    for t in range(3):
        one, _ = nrrd.read(str(tmp_path / f"slicer/sub-m_ses-t0_lesions_t{t}.seg.nrrd"))
        assert np.array_equal(one, values[..., t])
        middles.append(np.argwhere(one)[:, 2].mean())
    assert middles == sorted(set(middles))
    seen(moving, "m", "--in", "napari", "--out", str(tmp_path / "napari"), capsys=capsys)
    scene = json.loads((tmp_path / "napari/scene.json").read_text())
    assert scene["sessions"][0]["times"] == 3
    seen(moving, "m", "--in", "neuroglancer", "--out", str(tmp_path / "ng"), capsys=capsys)
    state = json.loads((tmp_path / "ng/state.json").read_text())
    assert len(state["position"]) == len(state["dimensions"]) == 4


def test_a_stack_too_large_for_imagejs_own_tiff_is_an_ome_tiff(petct, tmp_path, monkeypatch):
    monkeypatch.setattr(tiff, "MOST_IMAGEJ_BYTES", 100)
    monkeypatch.setattr(fiji, "MOST_IMAGEJ_BYTES", 100)
    assert main(["view", str(petct), "s", "t0", "--in", "fiji", "--out", str(tmp_path)]) == 0
    with tifffile.TiffFile(tmp_path / "sub-s_ses-t0_image.tif") as file:
        assert file.is_ome
        assert file.is_bigtiff
        assert file.series[0].axes == "ZCYX"
        assert 'PhysicalSizeZ="3.0"' in file.ome_metadata
    assert "Bio-Formats Importer" in (tmp_path / "view.ijm").read_text()
