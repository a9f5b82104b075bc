"""What results look like: text on a terminal, small self-contained HTML in a notebook."""
