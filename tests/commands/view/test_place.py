"""Sessions lie on each other in every viewer, and one that scans the other way round is not mirrored."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import somray
from somray.cli import main
from somray.commands.view.scene import world_axes
from somray.commands.view.viewers import in_napari, in_slicer
from somray.domain.geometry import Geometry
from tests.commands.view.viewed import LESION, second_to_first


@pytest.fixture(scope="module")
def scene(petct, tmp_path_factory):
    out = tmp_path_factory.mktemp("scene")
    assert main(["view", str(petct), "s", "--in", "napari", "--out", str(out)]) == 0
    return json.loads((out / "scene.json").read_text())


def middle(run, session):
    """Return the centre of the lesion as a voxel index (z, y, x, 1)."""
    drawn = somray.open_run(run).scan("s", session).lesions.values[0]
    return np.array([*np.argwhere(drawn).mean(axis=0), 1.0])


def test_a_lesion_lies_in_one_place_of_the_world_in_all_sessions(petct, scene):
    places = [
        (np.array(one["matrix"]) @ middle(petct, one["session"]))[:3] for one in scene["sessions"]
    ]
    assert places[0] == pytest.approx(LESION[::-1], abs=1.0)
    assert np.linalg.norm(places[1] - places[0]) < 1.0


def test_neuroglancer_puts_voxels_where_napari_does(petct, scene, tmp_path):
    arguments = ["--in", "neuroglancer", "--out", str(tmp_path)]
    assert main(["view", str(petct), "s", *arguments]) == 0
    state = json.loads((tmp_path / "state.json").read_text())
    layer = next(one for one in state["layers"] if one["name"] == "t1 PET")
    matrix = np.array(layer["source"]["transform"]["matrix"])[2:, 2:]  # mm z, y, x to the world
    index = np.array([3.0, 5.0, 7.0])
    ome = json.loads((petct / "scans/sub-s_ses-t1.ome.zarr/zarr.json").read_text())["attributes"][
        "ome"
    ]
    scale, shift = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    told = index * scale["scale"][2:] + shift["translation"][2:]
    expected = np.array(scene["sessions"][1]["matrix"]) @ [*index, 1.0]
    assert matrix @ [*told, 1.0] == pytest.approx(expected[:3])
    assert (layer["localDimensions"], layer["localPosition"]) == ({"c'": [1, ""]}, [1])


def test_slicer_is_told_the_way_in_ras(scene):
    assert np.allclose(scene["sessions"][1]["to_first"], second_to_first())
    turn = np.diag([-1.0, -1.0, 1.0, 1.0])
    found = in_slicer.to_ras(second_to_first().tolist())
    assert np.allclose(found, turn @ second_to_first() @ turn)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_the_world_follows_the_patients_axes_however_slices_run(flips, order):
    matrix = np.eye(4)
    matrix[:3, :3] = (np.eye(3) * flips)[:, order] * [0.7, 0.7, 4.0]
    assert np.allclose(world_axes(Geometry.from_matrix((4, 5, 6), matrix)), np.eye(3))


def test_the_world_is_the_first_grids_own_where_that_lies_askew():
    turned = np.eye(4)
    turned[:3, :3] = second_to_first()[:3, :3] * [1.0, 1.0, 3.0]
    assert np.allclose(
        world_axes(Geometry.from_matrix((4, 5, 6), turned)), second_to_first()[:3, :3]
    )
    tilted = np.eye(4)
    tilted[1, 2] = 0.3
    assert np.allclose(world_axes(Geometry.from_matrix((4, 5, 6), tilted)), np.eye(3))


def test_napari_gets_lazy_layers_masks_over_images(petct, scene, monkeypatch):
    monkeypatch.setitem(
        sys.modules, "napari.utils", SimpleNamespace(Colormap=lambda ends, name: name)
    )
    direct = SimpleNamespace(DirectLabelColormap=lambda color_dict: color_dict)
    monkeypatch.setitem(sys.modules, "napari.utils.colormaps", direct)
    found = in_napari.layers(scene)
    names = [arguments["name"] for _, arguments, _ in found]
    assert names[:4] == ["t0 CT", "t0 PET", "t1 CT", "t1 PET"]
    assert names[4:] == [
        f"{t} {label}" for t in ("t0", "t1") for label in ("som", "student", "lesions")
    ]
    shown = [arguments["name"] for _, arguments, _ in found if arguments["visible"]]
    assert shown == ["t0 CT", "t0 PET", "t0 lesions"]
    for data, arguments, _ in found:
        assert data[0].shape == (12, 18, 20)
        assert hasattr(data[0], "compute")  # nothing is read yet
        assert np.shape(arguments["affine"]) == (4, 4)
    by_name = {arguments["name"]: (data[0], arguments) for data, arguments, _ in found}
    expected = somray.open_run(petct).scan("s", "t1").image.sel(c="PET").values[0]
    assert np.array_equal(by_name["t1 PET"][0].compute(), expected, equal_nan=True)
    colors = by_name["t0 lesions"][1]["colormap"]
    assert set(colors) == {None, 0, 7}
    assert colors[0][3] == 0.0


def test_slicers_script_loads_what_was_written(petct, tmp_path, monkeypatch):
    assert main(["view", str(petct), "s", "--in", "slicer", "--out", str(tmp_path)]) == 0
    loaded, nodes = [], []

    class Node:
        def __init__(self, *_, **__):
            nodes.append(self)
            self.calls = {}

        def __getattr__(self, name):
            def call(*arguments):
                self.calls[name] = arguments
                return self if name == "GetDisplayNode" else "over"

            return call

    def load(path, *_):
        loaded.append(path)
        return Node()

    util = SimpleNamespace(
        loadVolume=load, loadSegmentation=load, resetSliceViews=lambda: None,
        setSliceViewerLayers=lambda **layers: nodes.append(layers),
    )  # fmt: skip
    scene = SimpleNamespace(AddNewNodeByClass=Node)
    monkeypatch.setitem(sys.modules, "slicer", SimpleNamespace(util=util, mrmlScene=scene))
    monkeypatch.setitem(sys.modules, "vtk", SimpleNamespace(vtkMatrix4x4=Node))
    in_slicer.main(tmp_path)
    assert sorted(loaded) == sorted(str(p) for p in tmp_path.glob("*.nrrd"))
    assert len(loaded) == 2 * (2 + 3)
    assert {"background", "foreground", "foregroundOpacity"} == set(nodes[-1])
