"""Objects of scans of intensities: MR, CT and their like."""
