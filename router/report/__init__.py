"""Findings as a page that people like to look at: one HTML file that needs nothing else."""
