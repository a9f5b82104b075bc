"""Finetuning of a finished run: folds and segmenters as units of its ledger, protocol by protocol."""
