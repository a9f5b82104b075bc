"""`somray measure`: tables and report of a run from masks that somray did not draw."""
