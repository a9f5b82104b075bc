"""The main job: chains of units per scan, protocol and subject, their bookkeeping, and the plan of it all."""
