"""How noisy a slice is, and what is taken from it."""
