"""Masks from images."""
