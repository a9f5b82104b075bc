"""A fitted model asked directly: a slice or a scan goes in, masks and figures come back, in memory.

The voxels are those that `somray apply` writes to disk. Not here: bytes of a request, HTTP, Ray.
"""
