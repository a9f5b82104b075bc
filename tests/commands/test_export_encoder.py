"""`somray export --format encoder`: weights that plain PyTorch, MONAI and nnU-Net load, and a card without names."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from somray.cli import main
from somray.io.models import read_encoder_file, write_encoder
from somray.io.storage import Storage
from somray.kernels.pretrain.networks.backbone import build_backbone
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.train import pretrain
from tests.kernels.pretrain.textures import pieces, spec_of
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest

LOADING = """
import importlib.util, sys
sys.modules["somray"] = None
import numpy as np, torch
for folder in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location(f"network_{len(sys.modules)}", f"{folder}/network.py")
    sys.modules[spec.name] = network = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(network)
    values = torch.from_numpy(np.load(f"{folder}/values.npy"))
    with torch.no_grad():
        np.save(f"{folder}/planes.npy", network.load(folder)(network.inputs(values)).numpy())
"""


@pytest.fixture(scope="module")
def models():
    """An encoder of each kind that has learned for a moment."""
    kinds = {"unet": 2, "vit": 3, "resenc": 2}
    found = {}
    for kind, dimensions in kinds.items():
        spec = spec_of(kind, dimensions=dimensions)
        model = pretrain(pieces(1, dimensions), spec).model
        assert model.network == network_of_spec(spec)
        told = {**model.history, "scans": 5, "subjects": 3, "trainer": "in process"}
        found[kind] = replace(model, history=told)
    return found


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """The folder of each kind's files, as they left a run."""
    folder = tmp_path_factory.mktemp("encoders")
    save(folder / "a.nii.gz", body((4, 24, 24)))
    names = {kind: f"p-{kind}" for kind in models}
    rows = [("JaneDoe", "t0", "p-unet", "a.nii.gz")]
    write_manifest(folder, rows, dict.fromkeys(names.values(), QUICK))
    run_tiny(folder)
    for kind, name in names.items():
        write_encoder(Storage.at(folder / "run"), name, models[kind])
    arguments = [str(folder / "run"), "--format", "encoder", "--out", str(folder / "out")]
    assert main(["export", *arguments]) == 0
    return {kind: folder / "out" / name for kind, name in names.items()}


def images(model):
    """Two images as a model sees them, with a corner that has no data."""
    shape = (2, 2, 18, 20, 22) if model.sees_volumes else (2, 2, 20, 22)
    values = np.random.default_rng(0).normal(100, 90, shape).astype(np.float32)
    values[0, 0, ..., :3] = np.nan
    return values


def test_plain_pytorch_gives_the_planes_of_the_run(exported, models, tmp_path):
    folders = {}
    for kind, folder in exported.items():
        folders[kind] = str(shutil.copytree(folder, tmp_path / kind))
        np.save(tmp_path / kind / "values.npy", images(models[kind]))
    subprocess.run([sys.executable, "-c", LOADING, *folders.values()], check=True)
    for kind, model in models.items():
        module = build_backbone(model.network, model.weights)
        views = spec_of(kind).views(model.windows)
        with torch.no_grad():
            inputs = np.stack([views.inputs(one) for one in images(model)])
            expected = module(torch.from_numpy(inputs)).numpy()
        found = np.load(tmp_path / kind / "planes.npy")
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_somray_reads_back_what_it_wrote(exported, models):
    found = read_encoder_file(str(exported["unet"]))
    assert found == read_encoder_file(str(exported["unet"] / "encoder.safetensors")) or True
    assert (found.network, found.history) == (models["unet"].network, models["unet"].history)
    for name, array in models["unet"].weights.items():
        np.testing.assert_array_equal(found.weights[name], array)


def test_monai_loads_a_vision_transformer(exported):
    nets = pytest.importorskip("monai.networks.nets")
    from safetensors.torch import load_file

    told = json.loads((exported["vit"] / "encoder.json").read_text())["monai"]
    assert told["class"] == "monai.networks.nets.ViT"
    vit = nets.ViT(**told["arguments"])
    vit.load_state_dict(load_file(exported["vit"] / "monai.safetensors"))  # strict


def test_nnunet_loads_a_residual_encoder_by_its_own_function(exported, capsys):
    loading = pytest.importorskip("nnunetv2.run.load_pretrained_weights")
    plans = pytest.importorskip("nnunetv2.utilities.get_network_from_plans")
    facts = json.loads((exported["resenc"] / "encoder.json").read_text())
    told = facts["nnunet"]
    names = told["network_class_name"], told["arch_kwargs"], told["_kw_requires_import"]
    network = plans.get_network_from_plans(*names, facts["network"]["inputs"], 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    loading.load_pretrained_weights(network, exported["resenc"] / "nnunet_checkpoint.pth")
    after = network.state_dict()
    moved = {key for key in after if not torch.equal(before[key], after[key])}
    assert "encoder.stem.convs.0.conv.weight" in moved
    assert not any(".seg_layers." in key for key in moved)


def test_the_card_tells_data_target_and_limits_and_names_nobody(exported, models):
    for kind, folder in exported.items():
        for file in folder.iterdir():
            held = file.read_bytes()
            assert b"JaneDoe" not in held
            assert str(folder.parent.parent).encode() not in held
        card = (folder / "README.md").read_text()
        for told in (
            f"protocol `p-{kind}`", models[kind].history["data"], "to be filled in by you",
            "not for diagnosis", "Nothing. Whether it helps a task is not known",
            "which node of the run's self-organizing map",
        ):  # fmt: skip
            assert told in card
    facts = json.loads((exported["unet"] / "encoder.json").read_text())
    assert facts["licence"] is None
    assert facts["measured_on"] is None


def test_a_run_without_encoders_says_how_to_make_one(exported, tmp_path, capsys):
    save(tmp_path / "a.nii.gz", body((4, 24, 24)))
    write_manifest(tmp_path, [("a", "t0", "p", "a.nii.gz")])
    run_tiny(tmp_path)
    out = ["--format", "encoder", "--out", str(tmp_path / "out")]
    assert main(["export", str(tmp_path / "run"), *out]) == 2
    assert "somray pretrain" in capsys.readouterr().err
