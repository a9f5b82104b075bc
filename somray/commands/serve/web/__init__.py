"""The applications: one for each protocol and one for all, as ASGI; they know no Ray."""
