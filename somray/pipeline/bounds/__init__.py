"""What a run has to fit into: the time that one unit may take, the space that is free."""
