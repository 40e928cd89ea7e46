"""What the README tells people to type exists."""

import re
import shlex
from pathlib import Path

import pytest

from inkbridge.cli import app
from inkbridge.train.config import load_config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ {4}(inkbridge .+)$", README, re.MULTILINE)


def test_the_readme_shows_each_command():
    shown = {command.split()[1] for command in COMMANDS}
    assert shown == {"apply", "styles", "inspect", "train", "watch", "export", "adapt", "compare", "evaluate"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_is_understood(command):
    function, bound, *_ = app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)
    assert function.__name__ == command.split()[1]
    assert bound.arguments or command == "inkbridge styles"


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)h][^)]*)\)", README))
def test_a_link_of_the_readme_leads_somewhere(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/vangogh-onto-monet"])
def test_the_scripts_are_executable(script):
    assert script in README
    assert (ROOT / script).stat().st_mode & 0o100


@pytest.mark.parametrize("file", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.name)
def test_recipe_files_load(file):
    assert load_config(file, []).title
