"""Figures of a whole cohort: small pictures of subjects, change over all of them, time and cost."""
