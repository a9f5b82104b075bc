"""Compiled code is kept where that can be, and made anew where nothing can be written."""

from numba.core.caching import CacheImpl

from somray.kernels.compiled import compiled, compiled_contracting


def test_where_no_folder_can_be_written_a_loop_is_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    for make in (compiled, compiled_contracting):
        assert make(lambda x: x)
