"""How good is a style: what is left of the content and how much of the style was reached, always together.

A trained eye decides (`sight`, `probe`); figures of pixels stand beside it for information. Pictures are
looked at one by one and not kept, so that their number does not matter for memory.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.images import reduced
from inkbridge.metrics.colour import colour_distance
from inkbridge.metrics.distribution import NUM_LEVELS, StyleDistance, laplacian_levels
from inkbridge.metrics.fsim import fsim
from inkbridge.metrics.interval import bootstrap_interval
from inkbridge.metrics.line import Line, measure_line
from inkbridge.metrics.memorisation import Layouts
from inkbridge.metrics.probe import Probe, Twice, covered, look_twice
from inkbridge.metrics.sight import Seen, Sight, StyleSight, recognised
from inkbridge.metrics.similarity import edge_correlation, ssim, structure_correlation

RGB = npt.NDArray[np.uint8]

SIMILARITY_SIDE = 512
"""Similarity is measured at this short side at most: FSIM and SSIM look at details of some pixels."""
PATCHES_OF_ONE = 4000
THUMBNAIL = 256
HALVES = 4
"""Times that the style pictures are split in two for the floor."""


@dataclass
class OnePicture:
    """The figures of one content picture and its result."""

    name: str
    ssim: float
    fsim: float
    structure: float
    edges: float
    distance_before: float
    """Of the content picture from the style pictures, all levels together."""
    distance_after: float
    """Of the result."""
    repeats: float
    """Correlation of its layout with the nearest style picture; above 0.9 that one was learned by heart."""
    nearest: str
    """The name of that style picture."""
    recognised: float | None = None
    """How surely the content is recognised in it (`sight.recognised`), 0 to 1."""
    as_content: bool | None = None
    """Whether the probe takes it for a content picture."""

    @property
    def covered(self) -> float:
        """Share of its own distance that is gone; the floor is not taken off, for a picture is no set."""
        return 1 - self.distance_after / self.distance_before if self.distance_before else 0.0


CONTENT_FIGURES = ("ssim", "fsim", "structure", "edges")
"""Of pixels; for information, where an eye has looked."""
MOST_SEEN = 200
"""Of more contents the eye looks at so many, spread evenly."""


@dataclass
class Eyed:
    """What the eye finds; shares are 0 for the contents and 1 for the style, below 0 for what leads away."""

    name: str
    """Of the eye, with a hash."""
    covered: float
    """Mean of the next two and `judged`, of which each counts from 0 to 1."""
    strokes: float
    """Share of the way covered at early and middle depths."""
    picture: float
    """The same at the deepest."""
    before: dict[str, float]
    """Distance of the contents from the style at both (`sight.distances`)."""
    after: dict[str, float]
    """Of the results."""
    judged: float | None = None
    """The same in the eyes of a judge that has learned contents and style pictures apart (`Probe`)."""
    as_content: float | None = None
    """Share of results taken for content pictures."""
    judged_right: float | None = None
    """Share of pictures that this judge had not seen and judged rightly; 0.5 is chance."""


@dataclass
class Evaluation:
    """The figures of one style on a set of content pictures."""

    title: str
    num_style: int
    pictures: list[OnePicture]
    levels_before: list[float]
    """Distance of the content pictures from the style pictures for each Laplacian level, finest first."""
    levels_after: list[float]
    """Of the results: 0 cannot be reached, the floor can."""
    levels_floor: list[float]
    """Of one half of the style pictures from the other."""
    colour_before: float
    colour_after: float
    line_before: Line
    line_after: Line
    line_style: Line
    thumbnails: dict[str, tuple[bytes, bytes]] = field(repr=False)
    """JPEG of content and result by picture name."""
    eye: Eyed | None = None
    """What an eye finds; it decides."""

    @property
    def covered(self) -> float:
        """Share of the way from the content pictures to the style: by the eye, without one by pixels."""
        return self.eye.covered if self.eye else self.pixels_covered

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the figures of what is left of the content; the first decides."""
        return ("recognised", *CONTENT_FIGURES) if self.eye else CONTENT_FIGURES

    @property
    def pixels_covered(self) -> float:
        """Share of the way to the floor by patches of pixels, all Laplacian levels together; may pass 1."""
        before, after, floor = sum(self.levels_before), sum(self.levels_after), sum(self.levels_floor)
        return (before - after) / (before - floor) if before > floor else float("nan")

    @property
    def covered_by_level(self) -> list[float]:
        """The same for each Laplacian level."""
        rows = zip(self.levels_before, self.levels_after, self.levels_floor, strict=True)
        return [(b - a) / (b - f) if b > f else float("nan") for b, a, f in rows]

    def mean(self, figure: str) -> tuple[float, float, float]:
        """Mean of a figure over the pictures, and its 95% interval."""
        found = [getattr(picture, figure) for picture in self.pictures]
        values = [float(value) for value in found if value is not None]
        return (float(np.mean(values)), *bootstrap_interval(values))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, NaN as None."""
        return {
            "title": self.title,
            "num_content": len(self.pictures),
            "num_style": self.num_style,
            "content_kept": {
                name: dict(zip(("mean", "from", "to"), self.mean(name), strict=True)) for name in self.kept
            },
            "eye": asdict(self.eye) if self.eye else None,
            "style_reached": {
                "covered": _finite(self.covered),
                "pixels_covered": _finite(self.pixels_covered),
                "covered_by_level": [_finite(value) for value in self.covered_by_level],
                "distance_before": self.levels_before,
                "distance_after": self.levels_after,
                "distance_floor": self.levels_floor,
                "colour_before": self.colour_before,
                "colour_after": self.colour_after,
                "line_before": asdict(self.line_before),
                "line_after": asdict(self.line_after),
                "line_style": asdict(self.line_style),
            },
            "pictures": [{**asdict(picture), "covered": picture.covered} for picture in self.pictures],
        }


def evaluate(
    title: str,
    paint: Callable[[RGB], RGB],
    contents: Iterable[tuple[str, RGB]],
    num_contents: int,
    styles: Sequence[tuple[str, RGB]],
    report: Callable[[int, int], None] = lambda done, total: None,
    sight: Sight | None = None,
) -> Evaluation:
    """Paint every content picture and measure.

    `contents` gives `num_contents` names and pictures (H x W x 3 uint8, at least 16 x 16) one by one;
    `styles`, at least two, are looked at as a whole. `sight` is the eye that decides; without one there are
    only figures of pixels. Raises ValueError for fewer pictures.
    """
    if len(styles) < 2:
        raise ValueError("at least 2 style pictures are needed")
    pictures = [picture for _, picture in styles]
    distance, quick = StyleDistance(pictures), StyleDistance(pictures, patches=PATCHES_OF_ONE)
    layouts = Layouts(pictures)
    before, after = distance.sample(num_contents), distance.sample(num_contents)
    small_contents, small_results, figures, thumbnails = [], [], [], {}
    lines: list[tuple[Line, Line]] = []
    seen: dict[int, tuple[Twice, Seen]] = {}
    for done, (name, content) in enumerate(contents):
        result = paint(content)
        levels = laplacian_levels(content), laplacian_levels(result)
        alone: list[float] = []
        for sample, found in zip((before, after), levels, strict=True):
            sample.add_levels(found)
            one = quick.sample(1)
            one.add_levels(found)
            alone.append(float(sum(quick.of_sample(one))))
        a, b = reduced(content, SIMILARITY_SIDE), reduced(result, SIMILARITY_SIDE)
        nearest = layouts.nearest(result)
        figures.append(
            OnePicture(
                name,
                ssim(a, b),
                fsim(a, b),
                structure_correlation(a, b),
                edge_correlation(a, b),
                alone[0],
                alone[1],
                nearest.correlation,
                styles[nearest.index][0],
            )
        )
        lines.append((measure_line(content), measure_line(result)))
        thumbs = reduced(content, THUMBNAIL), reduced(result, THUMBNAIL)
        thumbnails[name] = _jpeg(thumbs[0]), _jpeg(thumbs[1])
        if sight is not None and done * MOST_SEEN % max(num_contents, MOST_SEEN) < MOST_SEEN:
            seen[len(figures) - 1] = look_twice(sight.see, content), sight.see(result)
        small_contents.append(reduced(content, 64))
        small_results.append(reduced(result, 64))
        report(done + 1, num_contents)
    if not figures:
        raise ValueError("no content picture could be used")
    eye = None if sight is None else _look(sight, seen, figures, pictures)
    small_styles = [reduced(picture, 64) for picture in pictures]
    return Evaluation(
        title,
        len(styles),
        figures,
        distance.of_sample(before),
        distance.of_sample(after),
        style_floor(pictures),
        colour_distance(small_contents, small_styles),
        colour_distance(small_results, small_styles),
        _mean_line([line for line, _ in lines]),
        _mean_line([line for _, line in lines]),
        _mean_line([measure_line(picture) for picture in pictures]),
        thumbnails,
        eye,
    )


def _look(
    sight: Sight, seen: dict[int, tuple[Twice, Seen]], figures: list[OnePicture], styles: Sequence[RGB]
) -> Eyed:
    """What the eye finds, with its figures of single pictures added to `figures`."""
    contents, results = [twice for twice, _ in seen.values()], [result for _, result in seen.values()]
    of_styles = [look_twice(sight.see, picture) for picture in styles]
    of_contents = [content for content, _ in contents]
    style = StyleSight(of_contents, [picture for picture, _ in of_styles])
    probe = Probe(style.standard, contents, of_styles) if len(results) > 1 else None
    shares, verdict = covered(style, probe, results)
    found = Eyed(sight.name, **shares[0], before=style.before, after=style.distances(results))
    for i, value in zip(seen, recognised(of_contents, results), strict=True):
        figures[i].recognised = float(value)
    if verdict is not None:
        for i, taken in zip(seen, verdict.as_content, strict=True):
            figures[i].as_content = bool(taken)
        found.as_content, found.judged_right = float(verdict.as_content.mean()), verdict.accuracy
    return found


def style_floor(pictures: Sequence[RGB]) -> list[float]:
    """Distance of one half of the pictures from the other for each level, mean over random halves.

    What a perfect painter of this style would be measured at. Halves hold fewer pictures than the whole set,
    so the floor is a little high for few pictures. A single picture has no halves, and the floor is 0.
    """
    if len(pictures) < 2:
        return [0.0] * NUM_LEVELS
    rng = np.random.default_rng(0)
    found = []
    for _ in range(HALVES):
        order = rng.permutation(len(pictures))
        middle = len(pictures) // 2
        halves = [[pictures[i] for i in part] for part in (order[:middle], order[middle:])]
        found.append(StyleDistance(halves[1], patches=PATCHES_OF_ONE * 2).of(halves[0]))
    return [float(value) for value in np.mean(found, axis=0)]


def _mean_line(lines: Sequence[Line]) -> Line:
    drawn = [line.stroke_width for line in lines if line.line_density]
    return Line(
        float(np.mean([line.void for line in lines])),
        float(np.mean([line.line_density for line in lines])),
        float(np.mean(drawn)) if drawn else 0.0,
    )


def _jpeg(picture: RGB) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=82)
    return buffer.getvalue()


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
