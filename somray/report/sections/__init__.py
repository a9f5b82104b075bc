"""The sections of the report's pages."""
