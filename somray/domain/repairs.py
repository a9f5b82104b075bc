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
    "series_completed": "one file of a DICOM series is named; the whole series beside it is read",
    "objects_left_out": "DICOM objects that are no images of the series (reports, masks, captures) are left out",
    "scouts_left_out": "scouts of their own series, beside the one that is read, are left out",
    "litter_left_out": "files that are not DICOM, beside the series, are left out",
    "acquisitions_woven": "slices of several acquisitions lie between each other, as MR is measured; read as one",
    "time_by_trigger": "time points are told apart by the phase of the heart",
    "time_by_bvalue": "time points are told apart by diffusion weighting, ascending",
    "time_by_acquisition": "time points are told apart by number or time of acquisition",
    "time_by_content": "time points are told apart by the time their images were made",
    "suv_other_unit": "PET is neither in Bq/ml nor in SUVbw (counts, another SUV); values stay as they are",
    "suv_not_corrected": "PET is not corrected for decay and attenuation to a known time; no SUV",
    "suv_no_weight": "the header names no body weight; no SUV",
    "suv_no_dose": "the header names no injected dose; no SUV",
    "suv_no_half_life": "the half-life is missing or not the nuclide's; no SUV",
    "suv_no_time": "the header does not tell the time of injection or of the scan; no SUV",
    "suv_weight_implausible": "the body weight cannot be in kg; no SUV",
    "suv_dose_implausible": "the injected dose, by itself or for the weight, cannot be in Bq; no SUV",
    "suv_time_implausible": "the scan lies before the injection or too long after it; no SUV",
    "suv_time_disagrees": "the header gives two times of injection that disagree; the one with a date is taken",
    "suv_slices_disagree": "weight, dose or times differ from slice to slice; no SUV",
}
"""Code in `scans.repairs` to its meaning; part of the data dictionary."""
