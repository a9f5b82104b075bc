"""Units of work as the chains ask for them."""
