"""`somray finetune`: a segmenter from the few scans with a truth."""
