"""What every package shares; imports nothing of the others."""
