"""Pretraining a protocol's encoder: what it sees of a scan, the shards it learns from, its training."""
