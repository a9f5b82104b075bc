"""One session onto another, and all of a subject onto the first."""
