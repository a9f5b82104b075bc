"""Measure foreign masks: the walk of a run whose teacher, student and objects are replaced by masks from outside."""
