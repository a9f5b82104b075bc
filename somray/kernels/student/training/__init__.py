"""One training of a network: patches, loss, optimizer, loop."""
