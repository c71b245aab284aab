"""What a win model cannot be fitted on, or asked for, each with the mend."""

from __future__ import annotations

from crm.errors import NotReady


class OneOutcomeOnly(NotReady):
    """All closed deals ended alike, or none is closed."""

    def __init__(self, won: int, lost: int) -> None:
        super().__init__(
            f"Of the closed deals {won} were won and {lost} lost; the win model needs some of both. "
            "Import deals with outcomes won and lost, or check the outcome words in the mapping."
        )


class NoSnapshots(NotReady):
    """There is nothing to learn from."""


class NotImpartial(NotReady):
    """The model looks at who works on a deal and has no second one that does not."""

    def __init__(self) -> None:
        super().__init__(
            "This win model looks at who works on a deal, and none was fitted beside it that does not. "
            "Train it again with replicates above 0: bellwether train win."
        )


class NoWonDeals(NotReady):
    """The model does not know what deals that were won had."""

    def __init__(self) -> None:
        super().__init__(
            "This win model was kept by a version that did not look at deals won from each stage, which next steps "
            "start from. Train it again: bellwether train win."
        )
