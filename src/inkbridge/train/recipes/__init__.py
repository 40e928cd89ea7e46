"""Recipes by name: each one is a file that can be read from top to bottom."""

from __future__ import annotations

from inkbridge.train.recipes.cut import Cut
from inkbridge.train.recipes.multistyle import Multistyle

Recipe = Cut | Multistyle

RECIPES: dict[str, type[Cut] | type[Multistyle]] = {"cut": Cut, "multistyle": Multistyle}
