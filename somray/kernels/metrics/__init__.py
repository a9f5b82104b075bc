"""Masks compared: overlap, surfaces, lesion by lesion."""
