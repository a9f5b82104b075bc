"""Masks that somray did not draw, brought into a run of their own: images carried over, masks read onto their grids."""
