"""How synthetic scenes are painted on grids, and what the scanner adds."""
