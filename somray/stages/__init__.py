"""Stages: storage joined with kernels, one file each; a stage is a function of one item, and knows no Ray."""
