"""Masks without weights: the scan's own anatomy and grey values."""

from flr_volumetry.segmentation.classical.backend import (
    Anatomy,
    Classical,
    classical,
    find_again,
    find_anatomy,
    find_landmarks,
)

__all__ = ["Anatomy", "Classical", "classical", "find_again", "find_anatomy", "find_landmarks"]
