"""Runs that are broken on purpose, by a seed, until they end: the result must be that of an undisturbed one."""
