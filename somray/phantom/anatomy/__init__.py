"""What synthetic subjects of CT, PET/CT and micro-CT are made of."""
