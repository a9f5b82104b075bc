"""`somray apply`: a fitted model on a new scan."""
