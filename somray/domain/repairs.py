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
    "z_spacing_assumed": "the header names no distance between slices; the size of the pixels is assumed",
    "spacing_given": "the header names no voxel size, or not all; the protocol's `spacing_mm` is taken",
    "frames_as_slices": "the header calls the slices time points but names no time; they are taken as slices",
    "white_inverted": "the file stores 0 as white; values are turned over (largest minus stored)",
    "lut_ignored": "a look-up table of the file changes what is shown; values are taken as stored",
    "gray_from_rgb": "gray was stored as equal colors; one of them is taken",
    "lossy_compressed": "pixels were compressed with loss; their values are near those measured",
    "others_ignored": "the folder holds further pictures, of other names; they are left out",
}
"""Code in `scans.repairs` to its meaning; part of the data dictionary."""
