"""A protocol in short: what its classes are, whether its student may stand in; its method page has the rest."""

from collections.abc import Iterator

from somray.domain.teacher import TeacherModel
from somray.report.data import ProtocolData
from somray.report.drawing.blocks import (
    Block,
    Facts,
    Gallery,
    Notice,
    PageLink,
    PageLinks,
    Picture,
    Section,
    Text,
)
from somray.report.figures.classes import classes_on_map, shown_legend
from somray.report.figures.map import map_pictures
from somray.report.texts.map_order import order_notices
from somray.report.texts.notices import NOT_ACCURACY
from somray.report.texts.student import verdict

__all__ = ["protocol_summary"]

SHORT = (
    "Cluster map: every node with its number, the colour of its class, its share of the reference."
)


def protocol_summary(protocol: ProtocolData, prefix: str, method: str) -> Section:
    """Sum up a protocol's teacher and student; `method` is the address of its method page."""
    teacher = protocol.teacher
    blocks: list[Block] = []
    if protocol.cohort.foreign:
        blocks.append(
            Text("Masks from outside were measured: there is no teacher and no student here.")
        )
    elif teacher is None:
        told = "This protocol has no teacher: none of its scans came far enough to fit one."
        blocks.append(Notice(told, "bad"))
    else:
        blocks += _teacher(protocol, teacher, prefix)
    if not protocol.cohort.foreign:
        blocks += _student(protocol)
    told = "Maps, profiles, rounds, methods ready to paste and the configuration:"
    blocks.append(PageLinks(told, (PageLink(f"Method of {protocol.protocol}", method),)))
    return Section(f"{prefix}-method", "Method in short", tuple(blocks))


def _teacher(protocol: ProtocolData, teacher: TeacherModel, prefix: str) -> Iterator[Block]:
    clusters = protocol.rows("clusters")
    shares = {r["class_name"]: r["share_fraction"] for r in clusters if r["kind"] == "class"}
    told = ", ".join(
        f"{name} {100 * shares[name]:.1f} %"
        for _, name in sorted(teacher.class_names.items())
        if shares.get(name)
    )
    fitted = f"Fitted on {teacher.fitted_on}. " if teacher.fitted_on else ""
    yield Text(f"{fitted}Classes by share of the reference: {told or 'not known'}.")
    book, first = teacher.codebook, next(map_pictures(teacher, clusters, prefix))
    if book.quantization_error is not None and book.topographic_error is not None:
        text = f"{book.quantization_error:.3f} / {book.topographic_error:.3f}"
        yield Facts((("quantization / topographic error", text),))
    yield from order_notices(book)
    yield Gallery((Picture(first.markup, SHORT),), "small")
    yield shown_legend(teacher, classes_on_map(teacher))


def _student(protocol: ProtocolData) -> Iterator[Block]:
    convergence = protocol.rows("convergence")
    if not convergence:
        asked = protocol.config.segment != "som"
        why = (
            "no round of this protocol's student is finished"
            if asked
            else "`segment: som` asks for no student in this protocol"
        )
        yield Text(f"No student to show: {why}.")
        return
    yield NOT_ACCURACY
    yield verdict(convergence, protocol.config.student.tolerance)
    rounds = [r for r in convergence if r["mean_iou"] is not None]
    if rounds:
        last = rounds[-1]
        pairs = [
            (
                f"mean IoU with the teacher, round {last['round']} ({last['stage']})",
                last["mean_iou"],
            )
        ]
        slices = [r for r in rounds if r["stage"] != "cohort"] or rounds
        pairs.append(("baseline: A's mask copied", slices[-1]["copy_forward_iou"]))
        pairs.append(("control: equal compute on A", slices[-1]["control_iou"]))
        yield Facts(tuple((n, f"{v:.3f}") for n, v in pairs if v is not None))
