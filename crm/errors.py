"""The base error and its four kinds: each error says what is wrong, with the value found, then the mend."""


class BellwetherError(Exception):
    """Base of every error a user may see; the message is one or two plain sentences."""


class BadInput(BellwetherError):
    """What was given cannot be used as it is."""


class NotFound(BellwetherError):
    """What was asked for does not exist, or may not be seen."""


class NotAllowed(BellwetherError):
    """The viewer may not do this."""


class NotReady(BellwetherError):
    """Something must be done first: import, train, score."""
