"""The rounds A, A+B … and the cohort's: what is learned from, how each is measured."""
