import errno
import os

import numpy as np
import pytest
import zarr
from fsspec.implementations.memory import MemoryFileSystem

from somray.errors import StoreError
from somray.io import patience, patient_store
from somray.io.storage import Storage


@pytest.fixture(params=["local", "memory", "s3"])
def storage(request, tmp_path):
    if request.param == "s3":
        return Storage.at(f"{request.getfixturevalue('bucket')}/run")
    place = tmp_path if request.param == "local" else f"memory://{tmp_path.name}"
    return Storage.at(place)


def test_what_was_written_is_read_back_and_listed(storage):
    storage.write_text("a/b.txt", "one")
    storage.write_text("a/b.txt", "two")
    assert storage.read_text("a/b.txt") == "two"
    assert storage.names("a") == ["b.txt"]
    assert storage.exists("a/b.txt")


def test_a_missing_file_is_file_not_found_and_a_missing_folder_is_empty(storage):
    with pytest.raises(FileNotFoundError):
        storage.read_bytes("none")
    assert storage.names("none") == []
    storage.remove("none")
    assert not storage.exists("none")


def test_a_folder_is_removed_whole(storage):
    storage.write_text("a/b/c.txt", "x")
    storage.write_text("a/d.txt", "x")
    storage.remove("a")
    assert not storage.exists("a/d.txt")


def test_a_file_written_in_pieces_appears_at_the_end(storage):
    with storage.writing("a/b.bin") as file:
        file.write(b"one")
        assert not storage.exists("a/b.bin")
        file.write(b"two")
    assert storage.read_bytes("a/b.bin") == b"onetwo"

    def broken():
        with storage.writing("a/b.bin") as file:
            file.write(b"three")
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"):
        broken()
    assert storage.read_bytes("a/b.bin") == b"onetwo"
    assert storage.names("a") == ["b.bin"]


def test_zarr_lives_on_it(storage):
    group = zarr.create_group(storage.zarr("z.zarr"))
    group.create_array("x", shape=(2, 2), dtype="uint8")[:] = 3
    found = zarr.open_group(storage.zarr("z.zarr", read_only=True), mode="r")
    assert int(found["x"][:].sum()) == 12


def test_a_write_that_fails_leaves_the_old_file_and_no_trace(tmp_path, monkeypatch):
    storage = Storage.at(tmp_path)
    storage.write_text("f", "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("somray.io.storage.os.replace", full)
    with pytest.raises(StoreError, match="No space left"):
        storage.write_text("f", "new")
    assert storage.read_text("f") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.EAGAIN])
def test_what_fails_for_a_moment_is_tried_again(code, tmp_path, monkeypatch):
    storage, real, left = Storage.at(tmp_path), os.replace, [2]

    def flaky(source, target):
        left[0] -= 1
        if left[0] >= 0:
            raise OSError(code, os.strerror(code))
        real(source, target)

    monkeypatch.setattr(patience, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(os, "replace", flaky)
    storage.write_text("a/b", "x")
    assert (storage.read_text("a/b"), storage.names("a"), left) == ("x", ["b"], [-1])


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
def test_what_stays_is_told_and_leaves_nothing(code, tmp_path, monkeypatch):
    storage, tries = Storage.at(tmp_path), []

    def failing(source, target):
        tries.append(source)
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(patience, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(StoreError, match="cannot be written"):
        storage.write_text("a/b", "x")
    assert len(tries) == (4 if code == errno.EIO else 1)
    assert list((tmp_path / "a").iterdir()) == []


def test_zarr_on_a_file_system_that_fails_now_and_then(tmp_path, monkeypatch):
    """The first rename of every file fails: an array of many chunks is written all the same, and read back."""
    monkeypatch.setattr(patient_store, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(patience, "PAUSES", (0, 0, 0))
    replace, met = os.replace, set()

    def now_and_then(source, target):
        if target not in met:
            met.add(target)
            raise OSError(errno.EIO, "Input/output error")
        replace(source, target)

    monkeypatch.setattr(os, "replace", now_and_then)
    values = np.arange(64).reshape(8, 8)
    store = Storage.at(tmp_path).zarr("z.zarr")
    array = zarr.create_array(store, name="0", shape=(8, 8), chunks=(2, 2), dtype="i8")
    array[:] = values
    assert len(met) > 16
    assert (zarr.open_array(store, path="0", mode="r")[:] == values).all()


def test_zarr_on_a_full_disk_fails_at_once(tmp_path, monkeypatch):
    store, calls = Storage.at(tmp_path).zarr("z.zarr"), []
    array = zarr.create_array(store, name="0", shape=(8,), dtype="i8")

    def full(source, target):
        calls.append(target)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        array[:] = 1
    assert len(calls) == 1


def test_a_file_url_is_the_path_that_it_names(tmp_path):
    assert Storage.at(f"file://{tmp_path}/run") == Storage.at(tmp_path / "run")


def test_what_a_services_client_raises_is_an_error_of_storage(monkeypatch):
    class NoCredentialsError(Exception):
        pass

    def refused(*_, **__):
        raise NoCredentialsError("Unable to locate credentials")

    for call in ("cat_file", "pipe_file", "put_file", "exists", "ls"):
        monkeypatch.setattr(MemoryFileSystem, call, refused)
    storage = Storage.at("memory://bucket")
    for act in (storage.read_bytes, lambda n: storage.write_bytes(n, b""), storage.remove,
                storage.exists, storage.names):  # fmt: skip
        with pytest.raises(StoreError, match="Unable to locate credentials"):
            act("run.json")
    with pytest.raises(StoreError, match="credentials"), storage.writing("a"):
        pass
