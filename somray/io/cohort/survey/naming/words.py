"""The words that people put in names of folders and files of scans, by what they tell."""

import re

__all__ = [
    "CONTRASTS",
    "IMAGE",
    "LESION",
    "MASK",
    "MODALITIES",
    "ORGANS",
    "PERSON",
    "PHASES",
    "PLAIN",
    "SHELF",
    "T_WORDS",
    "UNITS_DAYS",
]

MASK = frozenset(
    ("mask", "masks", "label", "labels", "labelmap", "seg", "segs", "segmentation", "segmentations", "dseg", "truth",
     "gt", "groundtruth", "roi", "rois", "voi", "lumen", "contour", "contours", "lesions", "gtv", "annotation",
     "annotations", "segm", "labelstr", "labelsts", "maskstr", "targetstr", "targetsts", "msk")
)  # fmt: skip
"""A name with one of these speaks of a mask."""

LESION = frozenset(
    ("lesion", "lesions", "tumor", "tumour", "tumors", "tumours", "gtv", "ptv", "ctv", "nodule", "nodules",
     "metastasis", "metastases", "mets", "cancer", "mass", "infarct", "stroke", "defect", "defects", "crack", "pore",
     "pores", "wmh", "lumen", "edema", "infection", "haemorrhage", "hemorrhage", "plaque", "plaques")
)  # fmt: skip
"""What a truth mask outlines."""

ORGANS = frozenset(
    ("organ", "organs", "total", "totalsegmentator", "anatomy", "liver", "spleen", "kidney", "kidneys", "lung", "lungs",
     "heart", "aorta", "pancreas", "bladder", "brain", "brainmask", "bone", "bones", "spine", "vertebra", "vertebrae",
     "femur", "body", "stomach", "colon", "rib", "ribs", "muscle", "muscles", "gm", "wm", "csf", "aparc", "aseg",
     "tissue", "breast", "prostate", "skull", "airway", "airways", "trachea", "lobes")
)  # fmt: skip

IMAGE = frozenset(("image", "img", "scan", "vol", "volume", "images", "scans", "volumes"))

MODALITIES = {
    "CT": frozenset(("ct", "cect", "ldct", "hu", "cbct", "ncct", "hrct", "ctres")),
    "PET": frozenset(("pet", "pt", "suv", "suvbw", "fdg", "bqml", "psma")),
    "MR": frozenset(("mr", "mri", "t1", "t2", "t1w", "t2w", "flair", "dwi", "adc", "dce", "dce4d", "t1ce", "t1c",
                     "t1gd", "t2f", "t1n", "t1post", "t1pre", "hbv", "ktrans", "pdw", "swi", "bold", "t2star", "mprage",
                     "mp2rage", "spgr")),
    "XCT": frozenset(("xct", "uct", "µct", "microct", "xray", "tomo", "μct")),
}  # fmt: skip

T_WORDS = frozenset(("t1", "t2"))
"""Contrasts of MR, and as often the numbers of time points."""

CONTRASTS = frozenset(
    ("t1", "t1w", "t1n", "t1c", "t1ce", "t1gd", "t1km", "t1post", "t1pre", "t2", "t2w", "t2f", "t2star", "flair", "dwi",
     "adc", "swi", "pd", "pdw", "hbv", "ktrans", "dce", "dce4d", "bold", "asl", "fa", "md", "stir", "tof", "mprage",
     "mp2rage", "spgr")
)  # fmt: skip
"""Contrasts of MR: of one visit, and never a time point."""

PHASES = frozenset(
    ("arterial", "art", "venous", "ven", "portal", "portalvenous", "pv", "delayed", "delay", "late", "nephrographic",
     "excretory", "urographic", "corticomedullary", "native", "nativ", "noncontrast", "unenhanced", "nonenhanced",
     "precontrast", "postcontrast", "pregd", "postgd",
     "pregad", "postgad", "prekm", "postkm", "enhanced", "contrast", "cect", "ncct", "ldct", "lowdose", "fulldose",
     "inspiration", "expiration", "insp", "exp", "inhale", "exhale", "ac", "nac",
     "attenuated", "uncorrected", "soft", "sharp")
)  # fmt: skip
"""Phases and reconstructions: of one visit, and never a time point."""

PLAIN = frozenset(
    ("dicom", "dicoms", "dcm", "nifti", "nii", "nrrd", "series", "data", "raw", "tiff", "tif", "png", "slices", "axial",
     "anat", "ses", "ima", "stack", "recon", "reconstruction", "rec", "imagestr", "imagests", "imagesval", "corrected",
     "study", "export", "files", "inputstr", "inputsts", "pp", "preproc", "preprocessed", "bias", "n4",
     "skullstripped", "registered", "coregistered", "resampled")
)  # fmt: skip
"""What lies in a folder, not whose it is."""

SHELF = re.compile(
    r"(train|training|test|testing|val|validation|fold|batch|part|set|split|group|arm|cohort|subset|site|center|centre|"
    r"hospital|clinic|patients|subjects|cases|controls?|rawdata|sourcedata|derivatives|database|dataset|collection|"
    r"study|project|experiment|lab|mice|rats|animals|volunteers|healthy|data)"
    r"[-_ ]?\d{0,3}",
    re.IGNORECASE,
)
"""Folders that hold many patients; they tell two apart whose own names are equal."""

PERSON = re.compile(
    r"[a-z]|[a-z]{0,3}[-_]?\d+[a-z]?|[a-z]+[-_][a-z_-]*\d+|"
    r"(sub|subj|subject|pat|patient|participant|case|id|mouse|rat|animal)[-_ ]?\w+",
    re.IGNORECASE,
)
"""Ids of single people and animals; below one of these t1 or scan1 is a time, below any other name an id itself."""

UNITS_DAYS = {
    "hr": 1 / 24, "hrs": 1 / 24, "hour": 1 / 24, "hours": 1 / 24,
    "d": 1.0, "day": 1.0, "days": 1.0,
    "w": 7.0, "wk": 7.0, "wks": 7.0, "week": 7.0, "weeks": 7.0,
    "m": 30.4375, "mo": 30.4375, "mon": 30.4375, "month": 30.4375, "months": 30.4375,
    "y": 365.25, "yr": 365.25, "yrs": 365.25, "year": 365.25, "years": 365.25,
}  # fmt: skip
"""A month and a year are the mean ones of the Gregorian calendar."""
