"""A plan against the space that is free: fits, may just fit, cannot fit."""

from collections import namedtuple

import pytest

from somray.errors import PlanError
from somray.io.storage import Storage
from somray.pipeline.bounds import space

GIB = 2**30
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch):
    """Return what sets the free bytes of every disk."""

    def choose(size):
        monkeypatch.setattr(space.shutil, "disk_usage", lambda place: Usage(9**15, 0, size))

    return choose


def test_what_fits_is_not_worth_a_word(free, tmp_path):
    free(10 * GIB)
    assert space.space_note(Storage.at(tmp_path / "not/yet/there"), 10 * GIB) is None


def test_what_fits_only_packed_is_told(free, tmp_path):
    free(4 * GIB)
    told = space.space_note(Storage.at(tmp_path / "run"), 10 * GIB)
    assert "up to 10.0 GiB" in told
    assert "has 4.0 GiB" in told


def test_what_cannot_fit_even_packed_is_refused_with_what_to_do(free, tmp_path):
    free(1 * GIB)
    with pytest.raises(PlanError, match=r"cannot fit: up to 10\.0 GiB .*--set output="):
        space.space_note(Storage.at(tmp_path / "run"), 10 * GIB)


def test_what_a_run_holds_already_is_not_needed_again(free, tmp_path):
    (tmp_path / "run/scans").mkdir(parents=True)
    (tmp_path / "run/scans/half").write_bytes(bytes(3 << 20))
    free(1 << 20)
    assert space.space_note(Storage.at(tmp_path / "run"), 4 << 20) is None


def test_a_bucket_has_no_end(free):
    free(0)
    assert space.space_note(Storage.at("memory://bucket/run"), 10 * GIB) is None
