"""Applications behind Ray Serve: what they answer is their own affair; here they get replicas, a door and an end."""
