"""One module a viewer: `prepare(subject, folder)` writes what it takes and says with which arguments it opens it.

`in_napari` and `in_slicer` are copied beside what they open and run by those programs' own Python.
"""
