"""One file a command; `geodetect` finds them by the entry points of setup.cfg."""
