"""Hand a run's pretrained encoders on: weights, what loads them in plain PyTorch, and a card that tells what they are.

`OUT/PROTOCOL/encoder.safetensors`, `network.py`, `encoder.json`, `README.md`; a vision transformer also as MONAI's
`ViT` holds it (`monai.safetensors`), a residual encoder as nnU-Net's checkpoint for `-pretrained_weights`. Nothing in
them names a subject, a file or a place.
"""

import io
import json
from typing import Any

import numpy as np
from safetensors.numpy import save as tensors_to_bytes

from somray import __version__
from somray.commands.export.model_card import model_card
from somray.commands.export.scans import units_of
from somray.commands.export.standalone import network_source
from somray.commands.words import asked_protocols
from somray.domain.encoder import EncoderModel
from somray.errors import ConfigError
from somray.io.models import ENCODER_FILE, encoder_bytes, encoder_facts, read_encoder
from somray.io.run import StoredRun, open_run
from somray.io.storage import Storage

__all__ = ["export_encoders"]

IMPORTED = ("conv_op", "norm_op", "dropout_op", "nonlin")
"""Arguments of nnU-Net's networks that are names of classes."""

Facts = dict[str, Any]  # Any: JSON


def export_encoders(location: str, out: str, protocol: str | None = None) -> Facts:
    """Write the pretrained encoders of a run: the one of a protocol, or all that there are.

    Returns:
        `format`, `files` (places of what was written), `left_out` (protocols without an encoder) and `notes`.

    Raises:
        ConfigError: unknown protocol, or no encoder to export.
        StoreError: the run cannot be read or the folder not be written.
    """
    run, storage, files = open_run(location), Storage.at(out), []
    found, missing = _encoders(run, protocol)
    for name, model in found.items():
        for file, data in _files(run, name, model).items():
            storage.write_bytes(f"{name}/{file}", data)
            files.append(storage.uri(f"{name}/{file}"))
    nothing = {"session": None, "label": None, "reason": "has no encoder"}
    left_out = [{"subject": name, **nothing} for name in missing]
    return {"format": "encoder", "files": files, "left_out": left_out, "notes": []}


def _encoders(run: StoredRun, protocol: str | None) -> tuple[dict[str, EncoderModel], list[str]]:
    """Read the encoders that are wanted, and name the protocols that have none."""
    wanted = asked_protocols(run.config.protocols, protocol)
    found = {
        name: read_encoder(run.storage, name)
        for name in wanted
        if "encoder" in run.model_info(name)
    }
    if not found:
        raise ConfigError(
            f"{run.root}: no encoder to export for {', '.join(wanted)}; `somray pretrain` with the run's COHORT.yaml "
            "makes one"
        )
    return found, [name for name in wanted if name not in found]


def _files(run: StoredRun, protocol: str, model: EncoderModel) -> dict[str, bytes]:
    """Return all files of one encoder by name; the card comes last."""
    facts = _facts(run, protocol, model)
    files = {ENCODER_FILE: encoder_bytes(model), "network.py": network_source(model).encode()}
    if model.network["kind"] == "vit":
        files["monai.safetensors"], facts["monai"] = _for_monai(model)
    if model.network["kind"] == "resenc":
        files["nnunet_checkpoint.pth"], facts["nnunet"] = _for_nnunet(model)
    files["encoder.json"] = (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode()
    files["README.md"] = model_card(facts).encode()
    return files


def _for_monai(model: EncoderModel) -> tuple[bytes, Facts]:
    """Return weights for MONAI's `ViT`, and what builds it."""
    from somray.kernels.pretrain.foreign import MONAI_CLASS, monai_weights

    weights, arguments = monai_weights(model)
    data = tensors_to_bytes(
        {k: np.ascontiguousarray(v) for k, v in weights.items()}, {"format": "pt"}
    )
    return bytes(data), {"class": MONAI_CLASS, "arguments": arguments}


def _for_nnunet(model: EncoderModel) -> tuple[bytes, Facts]:
    """Return a checkpoint for nnU-Net's `-pretrained_weights`, and the architecture that a plan must name."""
    import torch

    from somray.kernels.pretrain.foreign import NNUNET_CLASS, nnunet_weights

    weights, arguments = nnunet_weights(model)
    held = io.BytesIO()
    torch.save({"network_weights": {k: torch.from_numpy(v) for k, v in weights.items()}}, held)
    return held.getvalue(), {
        "network_class_name": NNUNET_CLASS,
        "arch_kwargs": arguments,
        "_kw_requires_import": [name for name in IMPORTED if name in arguments],
    }


def _facts(run: StoredRun, protocol: str, model: EncoderModel) -> Facts:
    """Tell what an encoder is and came from; no subject, no file, no place."""
    config, info = run.config.protocols[protocol], run.info
    return {
        "made_by": f"somray {__version__}",
        "protocol": protocol,
        "modality": config.modality,
        **encoder_facts(model),
        "units": units_of(run, protocol),
        "targets": "nodes of a self-organizing map of ten features a channel, fitted without any label",
        "licence": None,
        "measured_on": _measured(run, protocol),
        "run": {
            key: info.get(key)
            for key in ("somray", "code_digest", "config_digest", "seed", "versions")
        },
    }


def _measured(run: StoredRun, protocol: str) -> Facts | None:
    """Say what the encoder was measured on: only what `somray finetune` left; None where it never ran."""
    rows = run.table("finetune")
    own = rows[rows["protocol"] == protocol]
    if own.empty:
        return None
    arms = own.groupby("arm")["dice"]
    means = {str(arm): None if np.isnan(mean) else float(mean) for arm, mean in arms.mean().items()}
    return {"scans": int(own["session"].count() / own["arm"].nunique()), "mean_dice": means}
