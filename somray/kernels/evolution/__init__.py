"""Lesions through time: common frame, links, identities, changes, burden."""
