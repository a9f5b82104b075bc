"""Surfaces of masks, however large: found in slabs, held in blocks, compared a few blocks at a time."""
