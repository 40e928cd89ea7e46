"""When training ends, and what it tells of itself until then."""

from __future__ import annotations

from dataclasses import dataclass

from inkbridge.train.checkpoint import Progress


@dataclass
class Budget:
    """When training ends: after so many images, or after so many minutes; exactly one is given."""

    images: int | None = None
    minutes: float | None = None
    until_good: bool = False
    """Whether it ends before that when more does not help any longer."""

    def progress(self, done: Progress) -> float:
        """0 at the start, 1 at the end."""
        if self.images is not None:
            return min(done.images_seen / self.images, 1.0)
        assert self.minutes is not None
        return min(done.seconds / (60.0 * self.minutes), 1.0)

    def seconds_left(self, done: Progress, images_per_second: float) -> float:
        """At that speed."""
        if self.images is not None:
            return max(self.images - done.images_seen, 0) / max(images_per_second, 1e-9)
        assert self.minutes is not None
        return max(60.0 * self.minutes - done.seconds, 0.0)


@dataclass
class Report:
    """What the loop tells its caller a few times a second."""

    progress: float
    images_seen: int
    images_per_second: float
    seconds_left: float
    losses: dict[str, float]
