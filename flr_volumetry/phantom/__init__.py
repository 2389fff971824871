"""A synthetic patient with known answers."""
