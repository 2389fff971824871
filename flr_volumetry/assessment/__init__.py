"""Volumes and patient against cited criteria."""
