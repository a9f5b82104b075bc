"""What sections and charts are drawn with: blocks, colours, windows, tiles."""
