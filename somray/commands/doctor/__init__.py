"""What stands in the way of a run, found before it starts: facts, the checks that judge them, the verb."""
