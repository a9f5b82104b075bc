"""Runs units of work; knows nothing of imaging, and alone knows Ray."""
