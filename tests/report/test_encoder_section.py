"""What a method page says of an encoder and of few labels: figures of the rows, a warning where they say nothing."""

from somray.report.drawing.blocks import Facts, Gallery, Notice, Table
from somray.report.sections.method.encoder import encoder_sections


class Protocol:
    """A protocol with rows of two tables, and what its model.json says of the encoder."""

    def __init__(self, pretraining=(), finetune=()):
        self.tables = {"pretraining": list(pretraining), "finetune": list(finetune)}

    def rows(self, table):
        return self.tables[table]

    def model_info(self, part):
        assert part == "encoder"
        return {"network": {"kind": "unet"}, "history": {"scans": 3, "steps": 50}}


def _epoch(iteration, epoch, loss, accuracy):
    return {
        "iteration": iteration,
        "epoch": epoch,
        "loss": loss,
        "accuracy": accuracy,
        "target": "nodes2",
    }


def _judged(subject, arm, dice):
    figures = dict.fromkeys(("iou", "precision", "recall"), 0.5)
    return {
        "subject": subject,
        "session": "t0",
        "fold": 1,
        "arm": arm,
        "labelled": 2,
        "dice": dice,
        **figures,
    }


def _blocks(protocol, kind):
    (section,) = encoder_sections(protocol, "m")
    return [block for block in section.blocks if isinstance(block, kind)]


def test_nothing_is_said_of_what_was_not_done():
    assert encoder_sections(Protocol(), "m") == ()


def test_an_encoder_is_told_by_its_last_epoch():
    rows = [_epoch(1, 1, 3.0, 0.1), _epoch(1, 2, 2.0, 0.2), _epoch(2, 1, 1.5, 0.42)]
    protocol = Protocol(rows)
    (facts,) = _blocks(protocol, Facts)
    assert ("told right under masks", "42%") in facts.pairs
    assert ("asked for", "nodes2") in facts.pairs
    (gallery,) = _blocks(protocol, Gallery)
    assert "iteration 1 ends at 2; iteration 2 ends at 1.5" in gallery.pictures[0].markup


def test_arms_are_told_with_their_means_and_a_warning_for_few_subjects():
    arms = {"pretrained": (0.8, 0.6), "scratch": (0.5, None), "label_free": (0.9, 0.7)}
    rows = [_judged(f"s{n}", arm, dice) for arm, two in arms.items() for n, dice in enumerate(two)]
    (table,) = _blocks(Protocol(finetune=rows), Table)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["from the encoder", "2", "0.700", "0.700"],
        ["from scratch", "1", "0.500", "0.500"],
        ["no label", "2", "0.800", "0.800"],
    ]
    assert len(_blocks(Protocol(finetune=rows), Notice)) == 1
    many = [_judged(f"s{n}", "scratch", 0.5) for n in range(6)]
    assert _blocks(Protocol(finetune=many), Notice) == []
    (gallery,) = _blocks(Protocol(finetune=many), Gallery)
    assert "from scratch 0.500" in gallery.pictures[0].markup
