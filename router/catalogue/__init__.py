"""What is known of models from outside: prices, sizes, life dates, with their sources."""
