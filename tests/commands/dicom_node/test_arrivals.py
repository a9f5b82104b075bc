"""However a series arrives (in parts, twice, not whole, of an unknown kind), it is answered once or refused."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.commands.dicom_node.servers import (
    PAIR,
    SETTLE,
    assert_valid,
    copied,
    places_of_apply,
    places_of_segmentation,
    turned_node,
)


def halves(folder):
    files = sorted(folder.glob("*.dcm"))
    return files[: len(files) // 2], files[len(files) // 2 :]


def untold(data, n):
    """Take out how many slices there are to be."""
    data.pop("ImagesInAcquisition", None)


def test_a_series_that_comes_in_two_associations_is_waited_for(fitted, orthanc, tmp_path):
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "two")
    first, second = halves(scan)
    orthanc.send(*first)
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("ct",)) as node:
        node.after().after(SETTLE - 1)
        orthanc.send(*second)
        node.after(SETTLE - 1).after(SETTLE - 1)
        assert node.states == ["seen"]
        node.after(2)
        assert node.states == ["sent"]
    (seg,) = orthanc.objects("SEG")
    wanted = places_of_apply(fitted / "run", tmp_path / "applied", "ct", scan)
    assert np.array_equal(places_of_segmentation(seg), wanted)


def test_slices_that_come_after_the_answer_are_answered_anew(fitted, orthanc, tmp_path):
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "late", untold)
    first, second = halves(scan)
    with turned_node(
        fitted / "run", orthanc, tmp_path / "state", protocols=("ct",), report=True
    ) as node:
        orthanc.send(*first)
        node.settled()
        (old,), (old_report,) = orthanc.objects("SEG"), orthanc.objects("SR")
        orthanc.send(*second)
        node.settled()
        assert node.states == ["sent"]
    (new,) = (one for one in orthanc.objects("SEG") if one.SOPInstanceUID != old.SOPInstanceUID)
    assert "supersedes" in new.SeriesDescription
    assert "supersedes" not in old.SeriesDescription
    assert f"to {len(first)} images" in new.SegmentSequence[0].SegmentDescription
    assert [s.SeriesInstanceUID for s in new.RelatedSeriesSequence] == [old.SeriesInstanceUID]
    (report,) = (
        one for one in orthanc.objects("SR") if one.SOPInstanceUID != old_report.SOPInstanceUID
    )
    before = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    referred = before.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    assert referred == old_report.SOPInstanceUID
    for one in (new, report):
        assert_valid(one, tmp_path)
    wanted = places_of_apply(fitted / "run", tmp_path / "applied", "ct", scan)
    assert np.array_equal(places_of_segmentation(new), wanted)


def test_what_is_sent_twice_is_answered_once(fitted, orthanc, tmp_path):
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "twice")
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("ct",)) as node:
        orthanc.send(scan)
        node.after()
        orthanc.send(scan)
        node.settled()
        orthanc.send(scan)
        node.settled()
        assert node.states == ["sent"]
        # Removed and sent again, it is new to the archive but not to the node.
        (entry,) = node.journal.entries.values()
        orthanc.ask(f"/series/{entry.name}", "DELETE")
        orthanc.send(scan)
        node.settled()
        assert node.states == ["sent"]
    assert len(orthanc.objects("SEG")) <= 1
    assert len(entry.past) == 1


@pytest.mark.parametrize(
    ("kept", "change"), [(slice(5), None), (slice(None, None, 2), untold), (None, untold)],
    ids=["fewer than told", "every second", "one is missing"],
)  # fmt: skip
def test_half_a_series_is_refused_until_it_is_whole(fitted, orthanc, tmp_path, kept, change):
    scan = copied(fitted / "ct_CT", tmp_path / "scan", f"half{kept}", change)
    files = sorted(scan.glob("*.dcm"))
    sent = files[kept] if kept else files[:4] + files[5:]
    orthanc.send(*sent)
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("ct",)) as node:
        node.settled()
        assert (node.states, orthanc.objects("SEG")) == (["refused"], [])
        assert node.codes[0] in ("incomplete", "irregular")
        orthanc.send(*[file for file in files if file not in sent])
        node.settled()
        assert node.states == ["sent"]
    assert len(orthanc.objects("SEG")) == 1


def coarse(data, n):
    data.PixelSpacing = [float(value) * 3 for value in data.PixelSpacing]


def captured(data, n):
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(data, name)


def sagittal(data, n):
    data.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    data.ImagePositionPatient = [float(n * float(data.SliceThickness)), 0, 0]


@pytest.mark.parametrize(
    ("change", "elements", "code"),
    [
        (None, {"Modality": "MR"}, "no_protocol"),
        (None, {"Modality": "XA"}, "no_protocol"),
        (None, {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        (None, {"Manufacturer": "somray"}, "derived"),
        (coarse, {}, "no_protocol"),
        (sagittal, {}, "no_protocol"),
        (captured, {}, "derived"),
    ],
    ids=["MR", "XA", "localizer", "own", "coarse", "sagittal", "capture"],
)
def test_what_no_protocol_knows_is_refused_with_its_reason(
    fitted, orthanc, tmp_path, capsys, change, elements, code
):
    key = f"unknown {change} {elements}"[:40]
    orthanc.send(copied(fitted / "ct_CT", tmp_path / "scan", key, change, **elements))
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("ct",)) as node:
        node.settled()
        assert (node.states, node.codes) == (["refused"], [code])
    assert orthanc.objects("SEG") == []
    assert f"refused [{code}]: " in capsys.readouterr().err


def test_pet_of_counts_is_no_pet_of_the_protocol(fitted, orthanc, tmp_path):
    orthanc.send(copied(fitted / "petct_CT", tmp_path / "ct", "counts"))
    orthanc.send(copied(fitted / "petct_PET", tmp_path / "pet", "counts", Units="CNTS"))
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("petct",)) as node:
        node.settled()
        assert node.states == ["refused", "refused"]
        assert node.codes == ["no_units", "no_units"]


def test_a_pet_of_another_frame_of_reference_is_no_partner(fitted, orthanc, tmp_path):
    orthanc.send(copied(fitted / "petct_CT", tmp_path / "ct", "apart"))
    elsewhere = generate_uid(entropy_srcs=["elsewhere"])
    orthanc.send(
        copied(fitted / "petct_PET", tmp_path / "pet", "apart", FrameOfReferenceUID=elsewhere)
    )
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("petct",)) as node:
        node.settled()
        assert node.states == ["settled", "settled"]
        node.after(PAIR)
        assert node.codes == ["channel_missing", "channel_missing"]


def test_ct_whose_pet_never_comes_is_answered_as_ct(fitted, orthanc, tmp_path):
    ct = copied(fitted / "ct_CT", tmp_path / "ct", "alone")
    orthanc.send(ct)
    with turned_node(fitted / "run", orthanc, tmp_path / "state") as node:
        node.settled()
        assert node.states == ["settled"]
        node.after(PAIR)
        assert node.states == ["sent"]


def test_two_scans_for_one_channel_are_ambiguous(fitted, orthanc, tmp_path):
    for n in range(2):
        uid = generate_uid(entropy_srcs=[f"pet {n}"])

        def renamed(data, z, n=n):
            data.SOPInstanceUID = generate_uid(entropy_srcs=[f"pet {n} {z}"])
            data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID

        orthanc.send(
            copied(
                fitted / "petct_PET", tmp_path / f"pet{n}", "pets", renamed, SeriesInstanceUID=uid
            )
        )
    orthanc.send(copied(fitted / "petct_CT", tmp_path / "ct", "pets"))
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("petct",)) as node:
        node.settled()
        entry = next(e for e in node.journal.entries.values() if e.modality == "CT")
        assert (entry.state, entry.code) == ("refused", "ambiguous")


def test_a_series_that_is_too_large_is_not_fetched(fitted, orthanc, tmp_path):
    orthanc.send(copied(fitted / "ct_CT", tmp_path / "scan", "large"))
    state = tmp_path / "state"
    with turned_node(fitted / "run", orthanc, state, protocols=("ct",), most_bytes=9999) as node:
        node.settled()
        assert node.codes == ["too_large"]
        assert list((state / "work").iterdir()) == []


def test_a_node_begins_with_what_arrives_after_it(fitted, orthanc, tmp_path):
    orthanc.send(copied(fitted / "ct_CT", tmp_path / "old", "old"))
    with turned_node(
        fitted / "run", orthanc, tmp_path / "state", protocols=("ct",), begins_with_all=False
    ) as node:
        node.settled()
        assert node.states == []
        new = copied(fitted / "ct_CT", tmp_path / "new", "new")
        orthanc.send(new)
        node.settled()
        assert node.states == ["sent"]
    uid = pydicom.dcmread(next(new.glob("*.dcm"))).StudyInstanceUID
    assert [seg.StudyInstanceUID for seg in orthanc.objects("SEG")] == [uid]
