"""The card of an encoder that leaves a run: what it is and is not, for people."""

from typing import Any

__all__ = ["model_card"]

Facts = dict[str, Any]  # Any: JSON

LIMITS = (
    "for research; not for diagnosis, treatment or any other clinical use",
    "it finds nothing by itself: it gives planes that a head must learn from",
    "it saw images of one cohort alone; others may look different to it",
    "weights can hold traces of the images that they learned from; ask whoever answers for the data before you publish "
    "them",
)
TARGETS = {
    "nodes": "which node of the run's self-organizing map each masked pixel has",
    "features": "the features of the run's self-organizing map at each masked pixel",
    "pixels": "the masked pixels themselves (a control)",
    "kmeans": "which of several clusters of grey values each masked pixel has (a control)",
    "nodes2": "clusters of a first encoder's own planes, after a first training on the map's nodes",
    "shuffled": "nodes whose numbers mean something else in every patch (a control: there is nothing to learn)",
}


def model_card(facts: Facts) -> str:
    """Write README.md of one encoder, by the facts of its `encoder.json`."""
    parts = [
        _head(facts),
        _data(facts),
        _use(facts),
        *_elsewhere(facts),
        _measured(facts),
        _end(facts),
    ]
    return "\n\n".join(parts) + "\n"


def _head(facts: Facts) -> str:
    network = facts["network"]
    kinds = {
        "unet": "the U-Net of somray's students, without its last layer",
        "vit": "a vision transformer with a light decoder",
        "resenc": "a residual encoder U-Net with nnU-Net's stages, without its last layer",
    }
    sees = "volumes" if network["dimensions"] == 3 else "slices"
    return (
        f"# Encoder of protocol `{facts['protocol']}`\n\n"
        f"Made by {facts['made_by']}: {kinds[network['kind']]}, for {sees} of {facts['modality']}, pretrained "
        f"without any label. It was asked {TARGETS[facts['target']]}, over {facts['history']['steps']} steps.\n\n"
        + "\n".join(f"- {line[0].upper()}{line[1:]}." for line in LIMITS)
    )


def _data(facts: Facts) -> str:
    history, run = facts["history"], facts["run"]
    channels = "\n".join(
        f"| {channel} | {kind} | {low:g} to {high:g} |"
        for channel, kind, (low, high) in zip(
            facts["channels"], facts["kinds"], facts["windows"], strict=True
        )
    )
    y, x = facts["spacing_mm"]
    size = (
        f"blocks of about {y:g} mm, axes to superior, posterior and left"
        if facts["network"]["dimensions"] == 3
        else f"pixels of {y:.4g} × {x:.4g} mm"
    )
    return (
        f"## What it learned from\n\n{history['scans']} scans of {history['subjects']} subjects, units "
        f"{', '.join(facts['units']) or 'unknown'}, seen in {size}. Digest of the data `{history['data']}`, of the "
        f"configuration `{run['config_digest']}`, of the code `{run['code_digest']}`, seed {run['seed']}.\n\n"
        f"| channel | measures | window |\n| --- | --- | --- |\n{channels}"
    )


def _use(facts: Facts) -> str:
    pet = (
        " PET counts in a unit of each scan's own: the window's upper end is that of the first scan, and only somray "
        "finds another's."
        if "PET" in facts["kinds"]
        else ""
    )
    axes = "z, y, x" if facts["network"]["dimensions"] == 3 else "y, x"
    return (
        "## Use\n\nIn plain PyTorch, with `network.py` of this folder:\n\n```python\nimport torch\nfrom network import "
        f'inputs, load\n\nencoder = load(".")\nimages = ...  # (b, {len(facts["channels"])}, {axes}) float32, values '
        "as in the scan, NaN for no data\nwith torch.no_grad():\n    planes = encoder(inputs(images))\n```\n\n"
        f"Each channel enters in several views (`inputs`), {facts['network']['inputs']} planes together.{pet} In "
        "somray: `student.encoder: FOLDER` in a COHORT.yaml, where it is a U-Net."
    )


def _elsewhere(facts: Facts) -> list[str]:
    """Say how MONAI or nnU-Net load it, where they can."""
    found = []
    if "monai" in facts:
        found.append(
            "## MONAI\n\nIts tokens alone; the decoder stays here. Give it `inputs(images)` too.\n\n```python\nimport "
            "json\nfrom monai.networks.nets import ViT\nfrom safetensors.torch import load_file\n\n"
            'vit = ViT(**json.load(open("encoder.json"))["monai"]["arguments"])\n'
            'vit.load_state_dict(load_file("monai.safetensors"))\n```'
        )
    if "nnunet" in facts:
        found.append(
            "## nnU-Net\n\nPut `nnunet` of `encoder.json` as `architecture` of a configuration of the plan, let the "
            "data set hold the planes of `inputs` as its channels (`noNorm`), and train with\n\n```\nnnUNetv2_train "
            "DATASET CONFIGURATION FOLD -p PLANS -pretrained_weights nnunet_checkpoint.pth\n```\n\nThe checkpoint is a "
            "pickle, as nnU-Net wants it; the safetensors file is none."
        )
    return found


def _measured(facts: Facts) -> str:
    found = facts["measured_on"]
    if found is None:
        return (
            "## What it was measured on\n\nNothing. Whether it helps a task is not known; `somray finetune` compares "
            "it with random weights where some scans have a truth."
        )
    told = ", ".join(
        f"{arm} {mean:.3f}" for arm, mean in sorted(found["mean_dice"].items()) if mean is not None
    )
    return (
        f"## What it was measured on\n\n{found['scans']} scans of the same cohort that have a truth, each judged by "
        f"segmenters that had not seen its subject (`somray finetune`); mean Dice: {told}. The encoder itself had seen "
        "their images, without the truth."
    )


def _end(facts: Facts) -> str:
    versions = ", ".join(f"{k} {v}" for k, v in (facts["run"]["versions"] or {}).items() if v)
    return (
        f"## Versions and licence\n\n{versions}.\n\nLicence of these weights: **to be filled in by you** (it follows "
        "from the licence of the images)."
    )
