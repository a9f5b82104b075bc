"""What readers and ingest may assume or change in a scan without refusing it: a closed list of codes."""

__all__ = ["REPAIRS"]

REPAIRS = {
    "position_assumed": "the header places the scan nowhere; its first voxel is taken for the origin",
    "spacing_assumed": "the header names no voxel size; 1 mm is assumed, figures in mm are in voxels",
    "resampled_z": "slices were uneven and are interpolated to even gaps (`irregular: resample`)",
    "untilted": "the gantry was tilted; slices are shifted upright (`irregular: resample`)",
    "nan_filled": "voxels that were not a number are filled with the background",
    "inf_filled": "infinite voxels are filled with the background",
    "padding_filled": "padding that was never measured is filled with the background",
}
"""Code in `scans.repairs` to its meaning; part of the data dictionary."""
