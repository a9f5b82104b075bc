"""Finetuning: a segmenter learns from the few scans with a truth, and is judged on subjects that it has not seen."""
