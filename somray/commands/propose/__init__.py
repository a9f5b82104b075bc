"""`somray propose`: what a reader should label first."""
