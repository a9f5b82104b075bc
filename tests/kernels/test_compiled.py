"""Compiled code is kept where that can be, and made anew where nothing can be written."""

import errno

from numba.core.caching import CacheImpl, IndexDataCacheFile

from somray.kernels.compiled import compiled, compiled_contracting


def test_where_no_folder_can_be_written_a_loop_is_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    for make in (compiled, compiled_contracting):
        assert make(lambda x: x)


def test_on_a_full_disk_a_loop_is_used_though_it_cannot_be_kept(monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(IndexDataCacheFile, "_save_data", full)
    monkeypatch.setattr(IndexDataCacheFile, "_load_index", lambda self: {})

    @compiled
    def sevenfold(value):
        return 7 * value

    assert sevenfold(6) == 42
