"""The teacher: fitted on a reference, applied to any slice of its protocol, and judged."""
