"""A protocol's method page: its teacher, its student, the methods in words, the configuration."""
