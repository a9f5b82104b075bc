"""Syntax trees of source files, for tests that look at the house itself."""

import ast
import gc
from pathlib import Path


def syntax_tree(file: Path) -> ast.Module:
    """Parse `file` while no finalizer can run: before 3.11.8, parsing that is entered again (a collection that
    starts amid it, another thread) ends in a SystemError, "AST constructor recursion depth mismatch" (gh-106905)."""
    running = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(file.read_text())
    except SystemError:
        return ast.parse(file.read_text())
    finally:
        if running:
            gc.enable()
