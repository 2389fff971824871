"""Volumes, formulas and growth."""
