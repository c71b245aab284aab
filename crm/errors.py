"""The base error and its four kinds: each error says what is wrong, with the value found, then the mend."""

from typing import NamedTuple


class Both(NamedTuple):
    """A value of an error that is words: the same in English and in Chinese."""

    en: str
    zh: str

    def __str__(self) -> str:
        return self.en


class BellwetherError(Exception):
    """Base of every error a user may see; the message is one or two plain sentences.

    Parameters
    ----------
    sentence : str
        In English, with `{named}` places for values: what a translation is looked up by.
    **values : object
        What stands in these places; another error stands for its own sentence.
    """

    def __init__(self, sentence: str = "", /, **values: object) -> None:
        super().__init__(sentence.format(**values) if values else sentence)
        self.sentence, self.values = sentence, values


class BadInput(BellwetherError):
    """What was given cannot be used as it is."""


class NotFound(BellwetherError):
    """What was asked for does not exist, or may not be seen."""


class NotAllowed(BellwetherError):
    """The viewer may not do this."""


class NotReady(BellwetherError):
    """Something must be done first: import, train, score."""
