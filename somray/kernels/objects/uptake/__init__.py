"""Hot objects of PET and PET/CT."""
