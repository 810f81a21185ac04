"""Many devices: starting a process for each, and what they tell one another."""
