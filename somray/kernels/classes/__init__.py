"""What the nodes of a map mean."""
