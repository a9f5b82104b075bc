"""A protocol's teacher, fitted on a slice, several, or a cohort."""
