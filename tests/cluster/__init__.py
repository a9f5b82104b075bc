"""Tests of cluster/, which holds values and no code of somray."""
