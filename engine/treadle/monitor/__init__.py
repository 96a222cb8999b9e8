"""What the monitor steps found, read as signals for the triggers."""
