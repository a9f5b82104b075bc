"""Figures of a method page: how student and encoder came about."""
