"""Masks of a scan, brick by brick: by direct transfer and by the student."""
