"""What can go wrong, as one tree:

    InkbridgeError
      ConfigError        a setting that does not exist or has a wrong value
      DataError          a picture or a folder that cannot be used
      PackError          a style pack that cannot be found, read or trusted
      TrainingError      training that cannot go on
      MissingExtraError  a part that was not installed (also an ImportError)

Each message is one sentence: what is wrong, with the value; where; what to do.
"""


class InkbridgeError(Exception):
    """Base of all errors that Inkbridge raises on purpose."""


class ConfigError(InkbridgeError):
    """A setting does not exist or has a wrong value."""


class DataError(InkbridgeError):
    """A picture or a folder of pictures cannot be used."""


class PackError(InkbridgeError):
    """A style pack cannot be found, read or trusted."""


class TrainingError(InkbridgeError):
    """Training cannot go on."""


class MissingExtraError(InkbridgeError, ImportError):
    """A part of Inkbridge was called that is not installed; the message gives the pip line."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra [{extra}]. Install it with: pip install 'inkbridge[{extra}]'"
        )


def first_line(error: BaseException) -> str:
    """What another program's exception says, in one line, to be put into a sentence of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
