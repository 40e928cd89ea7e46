"""Recipes by name: each one is a file that can be read from top to bottom."""

from __future__ import annotations

from inkbridge.train.recipe import Recipe
from inkbridge.train.recipes.classic import Classic
from inkbridge.train.recipes.cut import Cut
from inkbridge.train.recipes.cyclegan import CycleGan
from inkbridge.train.recipes.exemplar import Exemplar
from inkbridge.train.recipes.fastcut import FastCut
from inkbridge.train.recipes.multistyle import Multistyle
from inkbridge.train.recipes.paired import Paired
from inkbridge.train.recipes.repair import Repair

RECIPES: dict[str, type[Recipe]] = {
    "classic": Classic,
    "cut": Cut,
    "cyclegan": CycleGan,
    "exemplar": Exemplar,
    "fastcut": FastCut,
    "multistyle": Multistyle,
    "paired": Paired,
    "repair": Repair,
}
