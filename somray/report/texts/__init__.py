"""What the report says of results in words: warnings, rules, verdicts."""
