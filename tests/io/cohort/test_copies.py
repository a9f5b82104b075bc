"""Copies among a manifest's sources: equal bytes alone count, and only where all of a scan is looked at."""

import pytest

from somray.io.cohort.copies import copies


@pytest.fixture
def laid(tmp_path):
    def write(name, data):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return str(file)

    return write


def test_equal_bytes_are_found_whatever_their_names(laid):
    data = bytes(200_000)
    middle = data[:100_000] + b"1" + data[100_001:]  # same size, same ends
    a, b = laid("a.nii.gz", data), laid("other/b.nii.gz", data)
    c, d = laid("c.nii.gz", middle), laid("d.nii.gz", data[1:])
    assert copies([c, a, b, d, a]) == {b: a}


def test_folders_count_as_their_files(laid, tmp_path):
    for name, slices in (("a", (b"1", b"22")), ("b", (b"1", b"22")), ("c", (b"22", b"1"))):
        for z, data in enumerate(slices):
            laid(f"{name}/{z}.dcm", data)
    laid("deep/b/0.dcm", b"1")
    paths = [str(tmp_path / name) for name in ("a", "b", "c", "deep", "absent")]
    assert copies(paths) == {paths[1]: paths[0]}


def test_headers_that_lead_to_other_files_are_left_out(laid):
    assert copies([laid("a/scan.mhd", b"same"), laid("b/scan.mhd", b"same")]) == {}
    assert copies(["s3://a/b.nii", "s3://a/c.nii", laid("x.nii", b""), "no.nii"]) == {}
