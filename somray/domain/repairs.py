"""What readers and ingest may assume or change in a scan without refusing it: a closed list of codes."""

__all__ = ["REPAIRS"]

REPAIRS = {
    "position_assumed": "the header does not say where the scan lies in the patient; a place is assumed",
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
    "thickness_assumed": "a single slice whose thickness nobody named; 1 mm is assumed, areas are right",
    "unit_assumed": "the header's unit of length is none that exists; mm is assumed",
    "sform_ignored": "NIfTI: the sform is set but zero, singular or no number; the qform is taken",
    "qform_ignored": "NIfTI: the qform puts voxels elsewhere than the sform, or is broken; the sform is taken",
    "qform_repaired": "NIfTI: the qform's quaternion is too long or a voxel size negative; read as nibabel does",
    "pixdim_ignored": "NIfTI: voxel sizes contradict the sform; the sform's are taken",
    "scaling_ignored": "NIfTI: scl_slope or scl_inter is no number; values are taken as stored",
    "surplus_ignored": "the file holds more bytes than its header accounts for; the first ones are taken",
    "sheared": "the axes of the grid are not perpendicular; distances across them are approximate",
}
"""Code in `scans.repairs` to its meaning; part of the data dictionary."""
