"""Where scans lie: the manifest, and what a folder holds."""
