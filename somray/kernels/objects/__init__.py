"""Lesions as objects: what they are made of, what they are called, and why."""
