"""What chapters call, by chapter."""
