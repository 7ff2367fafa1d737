"""What this machine can tell about itself and its network."""
