"""Slices and sessions registered, composed, and what registration leaves."""
