"""Is this data fit for training: what was found, what to do about it, and with which settings to train."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from inkbridge.errors import DataError
from inkbridge.inspect.culture import CulturalDistance, cultural_distance
from inkbridge.inspect.duplicates import find_duplicates
from inkbridge.inspect.survey import MARK_SHARE, Facts, Survey, shared_mark, survey
from inkbridge.metrics.sight import Sight, Standard, distances

FEW, ENOUGH = 8, 40
FEW_STYLES = 50
"""Under so many style pictures a short run is better when it starts from a pack (docs/few-pictures.md)."""
CROP = 96
"""Side of the crops that the recipes train on by default."""
DEFAULT_TRIM = 0.04
ODD_SHARE = 0.1
"""At most this share of a style's pictures is "unlike the rest"; a larger one belongs to the style, as brown
silk does to old landscapes and plain ink to drawings."""


@dataclass(frozen=True)
class Finding:
    """Something the user should know."""

    kind: str
    """One word: unreadable, few, small, duplicates, leak, frames, mark, gray, faded, cast."""
    message: str
    """What, where, what to do; one or two sentences."""
    pictures: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Advice:
    """How to train on this data."""

    recipe: str
    settings: dict[str, object]
    minutes: int
    reasons: list[str]

    def to_toml(self) -> str:
        """A file for `inkbridge train --config`."""
        tables: dict[str, list[str]] = {"": [f'recipe = "{self.recipe}"']}
        for name, value in self.settings.items():
            table, _, key = name.rpartition(".")
            tables.setdefault(table, []).append(f"{key} = {value}")
        lines = [f"# {reason}" for reason in self.reasons] + [
            f"# Train with --minutes {self.minutes} --until-good.",
            "",
        ]
        for table, entries in tables.items():
            lines += ([f"[{table}]"] if table else []) + entries + [""]
        return "\n".join(lines)


@dataclass(frozen=True)
class Fitness:
    """Everything `inspect` finds."""

    content: Survey
    style: Survey
    findings: list[Finding]
    distance: CulturalDistance
    advice: Advice
    eye: dict[str, float] = field(default_factory=dict)
    """How far apart the eye finds the two, at "strokes" and "picture" (`metrics.sight.distances`): about 0
    for parts of one culture, 1 at most. Empty without an eye."""


def inspect_folders(
    content: Path,
    style: Path,
    held_back: Path | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
    sight: Sight | None = None,
) -> Fitness:
    """Look at both folders, and at one of pictures held back for measuring, if there is one; with `sight`
    through an eye too.

    Raises DataError for a folder with fewer than 2 usable pictures.
    """
    sides = []
    for folder in (content, style):
        found = survey(folder, report, sight)
        if len(found.pictures) < 2:
            raise DataError(
                f"Folder '{folder}' holds {len(found.pictures)} usable pictures; at least 2 are needed."
            )
        sides.append(found)
    ours, theirs = sides
    kept = [survey(held_back, report)] if held_back is not None else []
    same = _same_pictures([*sides, *kept])
    findings = [*_about(ours, "content", same[0, 0]), *_about(theirs, "style", same[1, 1])]
    findings += _leaks(same[0, 1], "the content folder and the style folder")
    for k, side in enumerate(sides if kept else []):
        findings += _leaks(same[k, 2], f"'{side.folder}' and the held-back folder")
    distance = cultural_distance([p.traits for p in ours.pictures], [p.traits for p in theirs.pictures])
    return Fitness(ours, theirs, findings, distance, _advise(theirs, distance), _by_eye(ours, theirs))


def _by_eye(ours: Survey, theirs: Survey) -> dict[str, float]:
    a, b = ([facts.seen for facts in side.pictures if facts.seen is not None] for side in (ours, theirs))
    return distances(Standard(a, b), a, b) if a and b else {}


def _about(side: Survey, name: str, same: list[tuple[Path, Path]]) -> list[Finding]:
    pictures = side.pictures
    found: list[Finding] = []

    def say(kind: str, message: str, concerned: list[Path]) -> None:
        found.append(Finding(kind, f"{name}: {message}", concerned))

    def paths(chosen: list[Facts]) -> list[Path]:
        return [facts.path for facts in chosen]

    if side.unreadable:
        say("unreadable", f"{_files(len(side.unreadable))} cannot be read; training leaves them out.", [])
    if len(pictures) < FEW:
        say("few", f"only {len(pictures)} pictures. Find more of the kind.", [])
    small = [p for p in pictures if min(p.width, p.height) < 2 * CROP]
    if small:
        say(
            "small",
            f"{_pictures(len(small))} under {2 * CROP} pixels; enlarged, they teach blur. Find larger ones.",
            paths(small),
        )
    if same:
        copies = sorted({second for _, second in same})
        say(
            "duplicates",
            f"{_pictures(len(copies))} (near-)duplicates of others; they count double. Delete them.",
            copies,
        )
    framed = [p for p in pictures if p.frame > 0]
    if framed:
        widest = max(p.frame for p in framed)
        how = f"The widest is {widest:.0%} of the short side"
        say("frames", f"{_pictures(len(framed))} with a plain frame or mat. {how}: crop them.", paths(framed))
    if shared_mark([p.small for p in pictures]) > MARK_SHARE:
        say(
            "mark",
            "the same fine detail at one place in many pictures: a watermark or stamp, which will be painted "
            "too. Use pictures without it.",
            [],
        )
    for kind, chosen, what in (
        ("gray", [p for p in pictures if p.is_gray], "without colour"),
        ("faded", [p for p in pictures if p.is_faded], "of little contrast"),
        ("cast", [p for p in pictures if p.is_of_one_hue], "of one hue throughout"),
    ):
        # Contents may vary as they like.
        if name == "style" and 0 < len(chosen) <= ODD_SHARE * len(pictures):
            say(
                kind,
                f"{_pictures(len(chosen))} {what}, unlike the rest; leave them out unless they belong.",
                paths(chosen),
            )
    return found


def _same_pictures(sides: list[Survey]) -> defaultdict[tuple[int, int], list[tuple[Path, Path]]]:
    """The pairs of pictures that are the same one, by the places of their folders in `sides`."""
    owners = [(k, facts) for k, side in enumerate(sides) for facts in side.pictures]
    found: defaultdict[tuple[int, int], list[tuple[Path, Path]]] = defaultdict(list)
    for pair in find_duplicates([Image.fromarray(facts.small).convert("L") for _, facts in owners]):
        (first_side, first), (second_side, second) = owners[pair.first], owners[pair.second]
        found[first_side, second_side].append((first.path, second.path))
    return found


def _leaks(pairs: list[tuple[Path, Path]], where: str) -> list[Finding]:
    """Pictures that stand in both folders."""
    if not pairs:
        return []
    message = f"{_pictures(len(pairs))} in both {where}; measures there mean nothing. Delete one of each."
    return [Finding("leak", message, [path for pair in pairs for path in pair])]


def _advise(style: Survey, distance: CulturalDistance) -> Advice:
    num = len(style.pictures)
    settings: dict[str, object] = {}
    reasons = [f"{num} style pictures, cultural distance {distance.total:.2f}."]
    farthest = sorted(distance.axes, key=lambda axis: -axis.distance)[:2]
    reasons.append("Farthest apart in " + " and ".join(axis.axis for axis in farthest) + ".")
    if num < FEW:
        settings["data.minimum"] = num
        reasons.append(f"Training asks for {FEW} pictures unless told otherwise.")
    if num < FEW_STYLES:
        reasons.append("With so few style pictures start from a pack (train --from; inkbridge styles).")
    framed = [facts.frame for facts in style.pictures if facts.frame > 0]
    if framed and max(framed) > DEFAULT_TRIM:
        settings["data.trim"] = min(round(max(framed) + 0.01, 2), 0.2)
        reasons.append("Frames are trimmed off the style pictures.")
    median = float(np.median([min(facts.width, facts.height) for facts in style.pictures]))
    if median < 384:
        reasons.append(f"Style pictures are taken as they are: their short side is {median:.0f} pixels.")
    minutes = 30 if distance.total < 0.05 else 60
    reasons.append(
        f"The two are {'close' if minutes == 30 else 'far apart'}: give it up to {minutes} minutes with "
        "--until-good, which ends when more does not help."
    )
    return Advice("exemplar", settings, minutes, reasons)


def _files(num: int) -> str:
    return "1 file" if num == 1 else f"{num} files"


def _pictures(num: int) -> str:
    return "1 picture" if num == 1 else f"{num} pictures"
