"""Pretraining: a network learns to tell what lies under masked blocks of unlabelled images."""
