"""Scans as stages read them: slices, volumes, sessions, sources and organ masks."""
