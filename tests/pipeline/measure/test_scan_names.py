"""Whose a mask is, by its path alone."""

import pytest

from somray.domain.scan import Scan
from somray.errors import ConfigError
from somray.pipeline.measure.naming import ScanNames
from somray.pipeline.measure.request import WantedLabels


def scan(subject, session):
    return Scan(subject, session, "p", (None,), "in.nii")


RUN = [
    scan("s1", "t0"), scan("s1", "t1"), scan("s10", "t0"), scan("s10", "t1"), scan("STS_001", "t0"),
    scan("STS_001.b", "t0"), scan("x-ray", "base"), scan("x-ray", "base-2"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "whose", "rest", "by_folder"),
    [
        ("sub-s1_ses-t0_lesions.nii.gz", ("s1", "t0"), "lesions", False),  # as `export` writes it
        ("labelsTr/sub-s10_ses-t1.nii.gz", ("s10", "t1"), "", False),
        ("sub-s1_ses-t0_t1.nii.gz", ("s1", "t0"), "t1", False),  # nnU-Net's case of time 1
        ("sub-s1/ses-t1/liver_tumour.nii.gz", ("s1", "t1"), "liver_tumour", True),
        ("s10/t0/mask.nrrd", ("s10", "t0"), "mask", True),
        ("out/sub-s10_ses-t0/spleen.nii.gz", ("s10", "t0"), "spleen", True),
        ("mask_s1_t1.mha", ("s1", "t1"), "mask", False),
        ("STS_001_lesion.nii.gz", ("STS_001", "t0"), "lesion", False),  # its one session
        ("STS_001.b_t0.nii.gz", ("STS_001.b", "t0"), "", False),  # the longer name
        ("sub-x-ray_ses-base-2_a.nii", ("x-ray", "base-2"), "a", False),
        ("sub-x-ray_ses-base.nii", ("x-ray", "base"), "", False),
        ("sub-s1_ses-t0_lesions.dcm", ("s1", "t0"), "lesions", False),
    ],
)
def test_a_path_names_its_scan(path, whose, rest, by_folder):
    found = ScanNames(RUN).find(path.split("/"))
    assert [(one.subject, one.session) for one in found.scans] == [whose]
    assert (found.rest, found.by_folder) == (rest, by_folder)


@pytest.mark.parametrize(
    "path",
    [
        "sub-s2_ses-t0.nii.gz",  # another subject
        "sub-s100_ses-t0.nii.gz",
        "sub-s1_ses-t5.nii.gz",  # another session
        "sub-STS_001_ses-t5.nii.gz",  # of one session, but another one is named
        "s1.nii.gz",  # which of two?
        "mask.nii.gz",
    ],
)
def test_what_names_no_scan_is_given_to_none(path):
    assert ScanNames(RUN).find(path.split("/")).scans == ()


def test_two_scans_named_alike_are_both_told():
    found = ScanNames(RUN).find(["s1_t0_and_t1.nii.gz"])
    assert {one.session for one in found.scans} == {"t0", "t1"}


def test_labels_are_numbers_or_names():
    assert WantedLabels.parse(("3,7", "3")) == WantedLabels((3, 7))
    assert WantedLabels.parse(("liver lesion",)) == WantedLabels((), ("liver lesion",))
    assert not WantedLabels.parse(("",))
    for wrong in (("3", "liver"), ("0",)):
        with pytest.raises(ConfigError):
            WantedLabels.parse(wrong)
