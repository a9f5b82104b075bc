"""Arrays in, arrays out: numpy, numba, scipy, OpenCV, torch; no path, clock, log, environment or Ray."""
