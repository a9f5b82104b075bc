"""Lesions of a subject over its sessions: followed, measured, added up."""
