"""From a dataset's folder to batches on the device."""
