"""Future-liver-remnant volumetry. Research use only."""
