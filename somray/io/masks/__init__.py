"""Label masks of other programs, and what their values are called."""
