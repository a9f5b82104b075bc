"""The words of the field as frozen types: no IO, no Ray, numpy only."""
