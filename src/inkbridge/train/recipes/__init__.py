"""Recipes by name: each one is a file that can be read from top to bottom."""

from __future__ import annotations

from inkbridge.train.recipes.cut import Cut

RECIPES = {"cut": Cut}
