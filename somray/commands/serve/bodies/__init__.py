"""What is sent, made into arrays and files: sizes are read first and bounded, names are never used."""
