"""Figures people quote of a lesion and of a session: values, axes, surface, peak, distances, response."""
