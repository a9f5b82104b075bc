"""What `somray view` writes is read back as viewers read it, and one class has one colour in all of it."""

import json
import re
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
import tifffile

import somray
from somray.cli import main
from somray.domain.palette import class_rgba, lesion_rgba
from tests.commands.view.viewed import SHAPE

VIEWERS = ("napari", "neuroglancer", "itksnap", "slicer", "fiji")


@pytest.fixture(scope="module")
def written(petct, tmp_path_factory):
    """Each viewer's folder."""
    folder = tmp_path_factory.mktemp("written")
    for viewer in VIEWERS:
        out = str(folder / viewer)
        assert main(["view", str(petct), "s", "--in", viewer, "--out", out]) == 0
    return folder


def image(run, session, channel):
    return somray.open_run(run).scan("s", session).image.sel(c=channel).values[0]  # (z, y, x)


def mask(run, session, label):
    return somray.open_run(run).scan("s", session)[label].values[0]


def window(run, session, channel):
    """Return the values (low, high) that OME-Zarr says are shown of a channel."""
    text = (run / f"scans/sub-s_ses-{session}.ome.zarr/zarr.json").read_text()
    shown = json.loads(text)["attributes"]["ome"]["omero"]["channels"][channel]["window"]
    return shown["start"], shown["end"]


def labels_of_text(path):
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    parts = [re.fullmatch(r'(\d+) (\d+) (\d+) (\d+) (\S+) (\d) (\d) "(.*)"', one) for one in lines]
    return {int(p[1]): (p[8], tuple(int(p[n]) for n in (2, 3, 4))) for p in parts}


@pytest.mark.parametrize("channel", ["CT", "PET"])
def test_itksnap_gets_every_channel_with_a_number_in_each_voxel(petct, written, channel):
    found = nib.load(written / f"itksnap/sub-s_ses-t1_{channel}.nii.gz")
    values, expected = np.asarray(found.dataobj).transpose(2, 1, 0), image(petct, "t1", channel)
    known = np.isfinite(expected)
    assert known.all() == (channel == "CT")
    assert np.array_equal(values[known], expected[known])
    assert np.isfinite(values).all()
    lowest = window(petct, "t1", ("CT", "PET").index(channel))[0]
    assert (values[~known] == np.float32(lowest)).all()
    read = SimpleITK.ReadImage(str(written / f"itksnap/sub-s_ses-t1_{channel}.nii.gz"))
    affine = np.array(somray.open_run(petct).scan("s", "t1").attrs["affine"])
    assert np.allclose(read.GetOrigin(), affine[:3, 3], atol=1e-4)
    assert read.GetSize() == SHAPE


def test_itksnap_gets_masks_with_names_and_colours(petct, written):
    for label in ("som", "student", "lesions"):
        found = np.asarray(nib.load(written / f"itksnap/sub-s_ses-t0_{label}.nii.gz").dataobj)
        assert np.array_equal(found.transpose(2, 1, 0), mask(petct, "t0", label))
    told = labels_of_text(written / "itksnap/sub-s_ses-t0_som.label")
    assert told[3] == ("lesion", class_rgba("lesion", 3)[:3])
    assert told[2] == ("normal", class_rgba("normal", 2)[:3])
    told = labels_of_text(written / "itksnap/sub-s_ses-t0_lesions.label")
    assert told[7] == ("lesion 7", lesion_rgba(7)[:3])


def test_slicer_gets_images_and_segmentations(petct, written):
    values, header = nrrd.read(str(written / "slicer/sub-s_ses-t1_PET.nrrd"))
    expected = image(petct, "t1", "PET")
    known = np.isfinite(expected)
    assert np.array_equal(values.transpose(2, 1, 0)[known], expected[known])
    assert header["space"] == "left-posterior-superior"
    values, header = nrrd.read(str(written / "slicer/sub-s_ses-t1_som.seg.nrrd"))
    assert np.array_equal(values.transpose(2, 1, 0), mask(petct, "t1", "som"))
    colors = {header[f"Segment{n}_LabelValue"]: header[f"Segment{n}_Color"] for n in range(4)}
    shown = tuple(round(255 * float(part)) for part in colors["3"].split())
    assert shown == class_rgba("lesion", 3)[:3]


def test_fiji_gets_a_hyperstack_with_calibration_and_windows(petct, written):
    with tifffile.TiffFile(written / "fiji/sub-s_ses-t1_image.tif") as file:
        (series,), told = file.series, file.imagej_metadata
        values = file.asarray()
        resolution = file.pages[0].tags["XResolution"].value
    assert series.axes == "ZCYX"
    for n, channel in enumerate(("CT", "PET")):
        assert np.array_equal(values[:, n], image(petct, "t1", channel), equal_nan=True)
    assert told["spacing"] == pytest.approx(3.0)
    assert told["unit"] == "mm"
    assert resolution[1] / resolution[0] == pytest.approx(1.5)
    assert told["Ranges"] == pytest.approx([*window(petct, "t1", 0), *window(petct, "t1", 1)])
    assert told["mode"] == "composite"


def test_fiji_gets_masks_in_their_colours_and_a_macro_that_shows_them(petct, written):
    with tifffile.TiffFile(written / "fiji/sub-s_ses-t0_som.tif") as file:
        values, table = file.asarray(), file.pages[0].colormap
    assert np.array_equal(values, mask(petct, "t0", "som"))
    assert tuple(table[:, 3] // 257) == class_rgba("lesion", 3)[:3]
    macro = (written / "fiji/view.ijm").read_text()
    for session in ("t0", "t1"):
        assert f'/sub-s_ses-{session}_image.tif");' in macro
        assert f"image=[sub-s_ses-{session}_lesions.tif] x=0 y=0 opacity=40 zero" in macro
    red, green, blue, _ = lesion_rgba(7)
    assert f"r[7] = {red}; g[7] = {green}; b[7] = {blue};" in macro
    assert macro.count("{") == macro.count("}")


def test_napari_and_neuroglancer_show_the_same_windows_and_colours(written):
    scene = json.loads((written / "napari/scene.json").read_text())
    state = json.loads((written / "neuroglancer/state.json").read_text())
    layers = {layer["name"]: layer for layer in state["layers"]}
    seen = [layer["name"] for layer in state["layers"] if layer["visible"]]
    assert seen == ["t0 CT", "t0 PET", "t0 lesions"]
    for session in scene["sessions"]:
        for channel in session["channels"]:
            layer = layers[f"{session['session']} {channel['name']}"]
            window = layer["shaderControls"]["window"]["range"]
            assert window == [channel["low"], channel["high"]]
        for label in session["labels"]:
            colors = layers[f"{session['session']} {label['name']}"]["segmentColors"]
            for one in label["classes"]:
                assert colors[str(one["value"])] == "#{:02x}{:02x}{:02x}".format(*one["rgba"][:3])
    som = next(one for one in scene["sessions"][0]["labels"] if one["name"] == "som")
    lesion = next(one for one in som["classes"] if one["name"] == "lesion")
    assert lesion["rgba"] == list(class_rgba("lesion", 3))


def test_nothing_written_names_a_source_or_lies_in_the_run(petct, written):
    for path in written.rglob("*"):
        if path.suffix in (".json", ".ijm", ".label", ".py"):
            assert "ct0" not in path.read_text()
    before = sorted(petct.rglob("*"))
    assert main(["view", str(petct), "s", "--out", str(petct / "views")]) == 2
    assert sorted(petct.rglob("*")) == before


def test_scripts_beside_the_files_compile_and_know_no_somray(written):
    for path in (written / "napari/in_napari.py", written / "slicer/in_slicer.py"):
        text = Path(path).read_text()
        compile(text, str(path), "exec")
        assert "import somray" not in text
        assert "from somray" not in text
