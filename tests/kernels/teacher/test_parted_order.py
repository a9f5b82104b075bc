"""Nodes parted at a lesion's border get their places on the lattice anew; nothing else changes."""

import numpy as np

from somray.kernels.teacher import fit
from tests.benchmarks.phantom_sessions import fitted, labelled, scans_of


def test_a_map_whose_nodes_were_parted_is_ordered_anew_and_labels_as_it_would_have(monkeypatch):
    scan = scans_of("xct", (8, 48, 48), 1, seed=1, subject=0)[0]
    ordered = fitted("xct", scan)
    monkeypatch.setattr(fit, "arranged", lambda weights, errors, lattice: (weights, errors))
    left = fitted("xct", scan)
    first, second = ordered.codebook, left.codebook
    assert first.topographic_error < 0.6 * second.topographic_error
    nodes, others = (sorted(map(tuple, book.weights.tolist())) for book in (first, second))
    assert nodes == others
    assert np.array_equal(labelled(ordered, scan), labelled(left, scan))
