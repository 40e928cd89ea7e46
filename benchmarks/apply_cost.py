"""What painting a 12-megapixel JPEG costs, from file to file, in a process of its own.

    python benchmarks/apply_cost.py [PHOTO] [STYLE_OR_PACK]

Without PHOTO a 4000 x 3000 one is made. Prints seconds, seconds a megapixel and the peak of memory.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    style = sys.argv[2] if len(sys.argv) > 2 else "ukiyo-e"
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder, "made.jpg")
        if len(sys.argv) <= 1:
            small = np.random.default_rng(0).integers(0, 255, (75, 100, 3), dtype=np.uint8)
            Image.fromarray(small).resize((4000, 3000), Image.Resampling.BICUBIC).save(photo, quality=92)
        with Image.open(photo) as image:
            megapixels = image.width * image.height / 1e6
        command = [sys.executable, "-m", "inkbridge", "apply", str(photo), "--style", style]
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([*command, "-o", str(Path(folder, "out.jpg"))], check=True, capture_output=True)
            times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    print(
        f"{megapixels:.1f} MP: best of 3 {min(times):.1f} s, {min(times) / megapixels:.2f} s a megapixel, "
        f"peak memory {peak:.2f} GB"
    )


if __name__ == "__main__":
    main()
