"""The self-organizing map: its fit as a fold over passes, its lattices, its search."""
