"""Pretraining within a run, and the verb that does nothing else."""
