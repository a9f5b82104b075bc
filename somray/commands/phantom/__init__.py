"""`somray phantom`: a synthetic cohort with known truth, as real input files."""
