"""A protocol's encoder on the page: what it learned from images without labels, and what that was worth on truths."""

from collections.abc import Iterator

import numpy as np

from somray.report.data import ProtocolData, Rows
from somray.report.drawing.blocks import (
    Block,
    Details,
    Facts,
    Gallery,
    Notice,
    Picture,
    Section,
    Text,
)
from somray.report.drawing.table import TableColumn, fact, rows_table, table_of
from somray.report.figures.method.encoder import ARM_NAMES, dice_by_arm, loss_under_masks

__all__ = ["encoder_sections"]

KNOWN = (
    ("scans", "scans"), ("subjects", "subjects"), ("steps", "steps of each iteration"), ("patch", "side of a patch"),
    ("block", "side of a masked block"), ("masked", "share that is masked"),
)  # fmt: skip
"""Facts of the training that the page tells, as model.json and as the page call them."""
COLUMNS = ("subject", "session", "fold", "arm", "labelled", "dice", "iou", "precision", "recall")


def encoder_sections(protocol: ProtocolData, prefix: str) -> tuple[Section, ...]:
    """Build what there is to say of a protocol's encoder; nothing where there is none and nothing was finetuned."""
    pretraining, finetune = protocol.rows("pretraining"), protocol.rows("finetune")
    blocks = (*_pretraining(protocol, prefix, pretraining), *_finetune(prefix, finetune))
    return (Section(f"{prefix}-encoder", "Encoder and few labels", blocks),) if blocks else ()


def _pretraining(protocol: ProtocolData, prefix: str, rows: Rows) -> Iterator[Block]:
    if not rows:
        return
    info = protocol.model_info("encoder")
    history, last = info.get("history", {}), rows[-1]
    yield Text(
        "An encoder learned from the protocol's images, without any label, what lies under masks. That it tells "
        "masked pixels right, on images that it learned from, does not say that it helps to find anything."
    )
    told = (
        [("network", str(info["network"]["kind"])), ("asked for", str(last["target"]))]
        if info
        else []
    )
    told += [(label, fact(history[key])) for key, label in KNOWN if key in history]
    if last["accuracy"] is not None:
        told.append(("told right under masks", f"{last['accuracy']:.0%}"))
    yield Facts(tuple(told))
    markup = loss_under_masks(rows, f"{prefix}-masked-loss")
    yield Gallery(
        (Picture(markup, "Loss of masked pixels over the epochs of pretraining."),), "chart"
    )


def _finetune(prefix: str, rows: Rows) -> Iterator[Block]:
    if not rows:
        return
    subjects = len({r["subject"] for r in rows})
    has_encoder = any(r["arm"] == "pretrained" for r in rows)
    started = (
        "from the encoder and from scratch, all else equal," if has_encoder else "from scratch,"
    )
    yield Text(
        f"Segmenters learned from the truths of few scans (somray finetune) and were judged on {subjects} subjects "
        f"that they had not seen: started {started} beside the run's own lesions, which no label taught."
    )
    if subjects < 6:
        yield Notice("Fewer than six subjects cannot tell these apart.", "warn")
    markup = dice_by_arm(rows, f"{prefix}-arms")
    yield Gallery(
        (Picture(markup, "Dice of every scan held out; a line joins one scan, bars are means."),),
        "chart",
    )
    by_arm = {
        arm: [r["dice"] for r in rows if r["arm"] == arm and r["dice"] is not None]
        for arm in ARM_NAMES
    }
    figures = [(ARM_NAMES[arm], dice) for arm, dice in by_arm.items() if dice]
    yield table_of(
        "Dice on scans held out, by start.",
        figures,
        [
            TableColumn("start", lambda one: one[0]),
            TableColumn("scans", lambda one: len(one[1])),
            TableColumn("mean Dice", lambda one: float(np.mean(one[1]))),
            TableColumn("median Dice", lambda one: float(np.median(one[1]))),
        ],
    )
    table = rows_table(
        "finetune", rows, COLUMNS, "Every scan held out, by start.", "nothing was finetuned."
    )
    yield Details(f"All {len(rows)} figures, scan by scan", (table,))
