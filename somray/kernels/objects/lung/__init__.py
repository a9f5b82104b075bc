"""CT of the chest: what the lung encloses, told from vessels, wall and hilum by shape and surroundings."""
