"""One training run: settings, start, loop, checkpoints, measurements. It begins in `loop.train`."""
