"""What the user sees: the dock and its parts. Nothing here knows how the engine is driven."""
