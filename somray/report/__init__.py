"""The HTML report: reads tables and masks of a run, writes pages."""
