"""A protocol's student: what teaches it, and its training."""
