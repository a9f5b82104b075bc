"""The cohort's page: what ran, what failed, what is in doubt, subjects, change, time and cost."""
