"""Training: from labelled images to a verified model package, on one device or many."""
