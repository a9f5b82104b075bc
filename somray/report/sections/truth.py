"""Scores against the reference truth: of a protocol, of a subject."""

from collections.abc import Callable, Sequence

import numpy as np

from somray.report.data import ProtocolData, Rows, SubjectData
from somray.report.drawing.blocks import Block, Details, Gallery, Section, Table, Text
from somray.report.drawing.table import TableColumn, rows_table, table_of
from somray.report.figures.truth import method_rank, truth_scores
from somray.report.texts.notices import TRUTH

__all__ = ["cohort_truth_section", "truth_section"]

TITLE = "Against the reference truth"
MOST_ROWS_OPEN = 40
MOST_ROWS = 200
UNION = 0  # the label of `truth` that stands for all labels together
TRUTH_COLUMNS = (
    "subject", "session", "method", "label", "dice", "iou", "precision", "recall", "hd95_mm",
    "surface_dice_2mm",
)  # fmt: skip
_ML = (
    "false_positive_ml", "false_negative_ml", "false_positive_lesions_ml", "false_negative_lesions_ml",
)  # fmt: skip


def truth_section(subject: SubjectData, prefix: str) -> Section:
    """Show the scores of one subject's scans."""
    rows = _said_once(subject.rows("truth"))
    why = "no scan of this subject names a truth mask, or none is scored yet."
    table = _table(rows, "Scores of this subject's scans", why, TRUTH_COLUMNS[1:])
    return Section(f"{prefix}-truth", TITLE, (TRUTH, table) if rows else (table,))


def cohort_truth_section(protocol: ProtocolData, prefix: str) -> Section:
    """Show the scores of a protocol's scans, method by method, where truth was given."""
    rows = _said_once(protocol.rows("truth"))
    if not rows:
        told = (
            "Nothing to show: no scan of this protocol names a truth mask, or none is scored yet."
        )
        return Section(f"{prefix}-truth", TITLE, (Text(told),))
    unions = [r for r in rows if r["label"] == UNION]
    picture = truth_scores(unions, f"{prefix}-truth-scores")
    blocks = (TRUTH, _summary(rows), Gallery((picture,), "chart"), _listed(rows))
    return Section(f"{prefix}-truth", TITLE, blocks)


def _listed(rows: Rows) -> Block:
    """List all scores, folded away where they are many; of very many those that agree least."""
    if len(rows) <= MOST_ROWS_OPEN:
        return _table(rows, "Scores of every scan", "")
    if len(rows) <= MOST_ROWS:
        return Details(f"All {len(rows)} scores", (_table(rows, "Scores of every scan", ""),))
    worst = sorted(range(len(rows)), key=lambda n: (rows[n]["dice"] or 0.0, n))[:MOST_ROWS]
    told = f"The {MOST_ROWS} scores of {len(rows)} with the least Dice"
    own = [rows[n] for n in worst]
    return Details(f"{told}; all stand in tables/truth", (_table(own, told, ""),))


def _said_once(rows: Rows) -> Rows:
    """Leave out labels that are the only one of their scan's truth: the union says the same."""
    labels: dict[tuple[str, str], set[int]] = {}
    for r in rows:
        labels.setdefault((r["subject"], r["session"]), {UNION}).add(r["label"])
    return [r for r in rows if r["label"] == UNION or len(labels[r["subject"], r["session"]]) > 2]


def _label(label: int) -> str:
    return "union" if label == UNION else str(label)


def _table(rows: Rows, told: str, why: str, columns: Sequence[str] = TRUTH_COLUMNS) -> Table:
    """Show rows of `truth`, label 0 as the union; `why` tells why there may be none."""
    named = [{**r, "label": _label(r["label"])} for r in rows]
    told = f"{told}, each mask beside the union of the truth's labels, and beside each where there are several."
    parts = (
        TableColumn("lesions found", lambda r: _found([r]), "",
                    "parts of the truth that the mask touches / all parts", True),
        TableColumn("right", lambda r: _right([r]), "",
                    "predicted parts that touch the truth / all predicted parts", True),
    )  # fmt: skip
    return rows_table("truth", named, (*columns, *parts, *_ML), told, why)


def _over(column: str, summed: Callable[[list[float]], float]) -> Callable[[Rows], float | None]:
    """Sum a column up over the rows that have it."""

    def figure(rows: Rows) -> float | None:
        values = [r[column] for r in rows if r[column] is not None]
        return float(summed(values)) if values else None

    return figure


def _found(rows: Rows) -> str:
    return f"{sum(r['lesions_found'] for r in rows)} / {sum(r['lesions_true'] for r in rows)}"


def _right(rows: Rows) -> str:
    """Sum up the predicted parts that touch the truth, of all predicted ones."""
    predicted = [(r["lesions_predicted"], r["lesion_precision"] or 0.0) for r in rows]
    return f"{sum(round(n * share) for n, share in predicted)} / {sum(n for n, _ in predicted)}"


SUMMARY_COLUMNS = (
    TableColumn("label", lambda rows: _label(rows[0]["label"]), "",
                "label of the truth mask, or the union of all"),
    TableColumn("method", lambda rows: rows[0]["method"]),
    TableColumn("scans", len, numeric=True),
    TableColumn("mean Dice", _over("dice", np.mean), numeric=True),
    TableColumn("median Dice", _over("dice", np.median), numeric=True),
    TableColumn("least Dice", _over("dice", min), numeric=True),
    TableColumn("mean precision", _over("precision", np.mean), numeric=True),
    TableColumn("mean recall", _over("recall", np.mean), numeric=True),
    TableColumn("median HD95", _over("hd95_mm", np.median), "mm", numeric=True),
    TableColumn("median surface Dice", _over("surface_dice_2mm", np.median), "",
                "share of both surfaces within 2 mm of each other", True),
    TableColumn("lesions found", _found, "", "parts of the truth that the masks touch / all parts", True),
    TableColumn("right", _right, "", "predicted parts that touch the truth / all predicted parts", True),
)  # fmt: skip


def _summary(rows: Rows) -> Table:
    """Sum the scores up per label and method."""
    groups: dict[tuple[int, str], Rows] = {}
    for row in rows:
        groups.setdefault((row["label"], row["method"]), []).append(row)
    told = "Scores with the truth in short; scans without a figure are left out of its mean."
    order = sorted(groups, key=lambda key: (key[0], method_rank(key[1])))
    return table_of(told, [groups[key] for key in order], SUMMARY_COLUMNS)
