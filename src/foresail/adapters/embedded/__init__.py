"""Real market data that travels inside installed packages: the sample of the demo, read at run time, offline."""
