"""Heads as contrast-enhanced T1 MR."""

from somray.phantom.head.subject import make_head

__all__ = ["make_head"]
