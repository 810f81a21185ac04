"""GeoDetect in Processing: one file an algorithm, all of which drive the engine's process."""
