"""The command line: one file a command, loaded when it is called."""

from __future__ import annotations

import os
import sys

from cyclopts import App, CycloptsError

from inkbridge import __version__
from inkbridge.errors import InkbridgeError

app = App(
    name="inkbridge",
    version=__version__,
    help="Move the style of one picture culture onto another's pictures.",
    suppress_keyboard_interrupt=False,  # `main` says that it stopped
)
app.command("inkbridge.cli.apply:apply")
app.command("inkbridge.cli.styles:app", name="styles")
app.command("inkbridge.cli.train:train")
app.command("inkbridge.cli.watch:watch")
app.command("inkbridge.cli.export:export")
app.command("inkbridge.cli.import_:import_", name="import")
app.command("inkbridge.cli.adapt:adapt")
app.command("inkbridge.cli.compare:compare")
app.command("inkbridge.cli.evaluate:evaluate")
app.command("inkbridge.cli.inspect:inspect")
app.command("inkbridge.cli.hands:hands")
app.command("inkbridge.cli.glyphs:glyphs")
app.command("inkbridge.cli.read:read")
app.command("inkbridge.cli.damage:damage")
app.command("inkbridge.cli.repair:repair")
app.command("inkbridge.cli.beautify:beautify")
app.command("inkbridge.cli.web:web")
app.command("inkbridge.cli.bench:bench")
app.command("inkbridge.cli.distill:distill")


def main() -> None:
    """Entry point: exit code 0 for success, 1 for an error said in one line, 2 for wrong usage."""
    tokens = [token for token in sys.argv[1:] if token != "--debug"]
    debug = len(tokens) < len(sys.argv) - 1
    try:
        app(tokens, exit_on_error=False, result_action="sys_exit")
    except CycloptsError:
        sys.exit(2)  # cyclopts has printed what is wrong
    except InkbridgeError as error:
        if debug:
            raise
        print(f"inkbridge: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output has enough of it (`inkbridge styles | head`); nothing is wrong.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        print("inkbridge: stopped.", file=sys.stderr)
        sys.exit(130)
