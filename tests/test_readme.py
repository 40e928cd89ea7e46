"""What the README tells people to type exists."""

import re
import shlex
from pathlib import Path

import pytest

from inkbridge.cli import app
from inkbridge.train.config import load_config, setting_names
from inkbridge.train.health import SIGNS
from inkbridge.train.recipes import RECIPES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ {4}(inkbridge .+)$", README, re.MULTILINE)


def test_the_readme_shows_each_command():
    shown = {command.split()[1] for command in COMMANDS}
    assert shown == {
        "apply",
        "styles",
        "inspect",
        "train",
        "watch",
        "export",
        "adapt",
        "compare",
        "evaluate",
        "hands",
        "glyphs",
        "read",
        "damage",
        "repair",
        "beautify",
        "web",
        "bench",
        "distill",
        "import",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_understood(command):
    function, bound, *_ = app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)
    assert function.__name__.rstrip("_") == command.split()[1]
    assert bound.arguments or command == "inkbridge styles"


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)h][^)]*)\)", README))
def test_a_link_of_the_readme_leads_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("page", ["choosing.md", "training.md"])
def test_settings_named_in_the_docs_exist(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    tables = "data|discriminator|encoder|generator|losses|optimizer"
    named = set(re.findall(rf"`(?:--set )?((?:{tables})\.[a-z0-9_]+)[`= ]", text))
    assert len(named) >= 5
    known = {name for recipe in RECIPES.values() for name in setting_names(recipe.config_class)}
    assert named <= known


def test_every_sign_has_its_row_in_the_docs():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`([a-z-]+)`", " ".join(rows))) == sorted(SIGNS)


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/vangogh-onto-monet"])
def test_the_scripts_are_executable(script):
    assert script in README
    assert (ROOT / script).stat().st_mode & 0o100


@pytest.mark.parametrize("file", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.name)
def test_recipe_files_load(file):
    assert load_config(file, []).title
