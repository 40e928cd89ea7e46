"""Where the wall time of painting a picture goes, from the start of the process to the written file.

    python benchmarks/wall_time.py PICTURE [STYLE_OR_PACK] [--device NAME] [--precision NAME]

Runs `inkbridge apply` three times, each in a new process; prints the time in the networks, and its share.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WITHIN = """
import sys, time
from inkbridge import engine
spent = [0.0]
def timing(run):
    def timed(self, *arguments):
        start = time.perf_counter()
        result = run(self, *arguments)
        spent[0] += time.perf_counter() - start
        return result
    return timed
for kind in (engine.Engine, engine.EnlargerEngine):
    kind.run = timing(kind.run)
from inkbridge.cli import main
try:
    main()
finally:
    print(spent[0], file=sys.stderr)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture")
    parser.add_argument("style", nargs="?", default="ukiyo-e")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        how = ["--device", arguments.device, "--precision", arguments.precision]
        command = [
            "apply",
            arguments.picture,
            "--style",
            arguments.style,
            *how,
            "-o",
            str(Path(folder, "o.jpg")),
        ]
        for _ in range(3):
            start = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-c", WITHIN, *command], check=True, capture_output=True, text=True
            )
            found.append((time.perf_counter() - start, float(done.stderr.split()[-1])))
    whole, network = min(found)
    print(f"{whole:.2f} s from start to end, {network:.2f} s in the network: {network / whole:.0%}")


if __name__ == "__main__":
    main()
