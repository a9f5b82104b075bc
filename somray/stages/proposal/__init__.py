"""What a reader should label first: what a run knows of its own doubts, and a choice that follows from it."""
