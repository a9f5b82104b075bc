"""`somray view`: one subject of a run in napari, neuroglancer, ITK-SNAP, 3D Slicer or Fiji.

`subject` says what is shown, `scene` where it lies, `viewers/` writes what each viewer takes, `programs` finds and
starts it. napari and neuroglancer read the run's own pyramids; the others get copies of the voxels.
"""
