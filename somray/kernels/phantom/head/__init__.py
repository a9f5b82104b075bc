"""Heads as contrast-enhanced T1 MR."""

from somray.kernels.phantom.head.subject import make_head

__all__ = ["make_head"]
