"""Bring unfamiliar writing to the style that a text recogniser knows."""
