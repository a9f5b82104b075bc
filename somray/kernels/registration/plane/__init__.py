"""One slice onto another."""
