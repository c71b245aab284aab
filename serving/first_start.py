"""What is checked and told when a home is served: samples stay here, a new company gets its administrator."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from crm.errors import NotAllowed
from serving.settings import Settings
from serving.store import Store
from serving.users import LINK_HOURS, has_users, make_link

_PASSED_ON = ("forwarded", "via", "x-real-ip")
NOT_PASSED_ON = (
    "The sample company is shown at its own machine only, and this request was passed on by another program. "
    "Open it there, at 127.0.0.1."
)


class SampleOnNetwork(NotAllowed):
    """The sample company is open to whoever sits at the machine, so it must not be served to others."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"The sample company is served to this machine only, not on {host}. "
            "Serve it on --host 127.0.0.1, or name the home of a real company: --home my-company."
        )


def check_address(settings: Settings, *, sample: bool) -> None:
    """Refuse to serve the sample company on any address but this machine's own.

    Raises
    ------
    SampleOnNetwork
        If others could reach it.
    """
    if sample and not is_loopback(settings.host):
        raise SampleOnNetwork(settings.host)


def through_proxy(headers: Iterable[str]) -> bool:
    """Whether the names of a request's headers tell that it was passed on by another program."""
    return any(name.lower().startswith("x-forwarded-") or name.lower() in _PASSED_ON for name in headers)


def first_link(store: Store, address: str) -> str | None:
    """What to tell on the console where nobody can sign in yet: a link that works once."""
    if has_users(store):
        return None
    until = "an hour" if LINK_HOURS == 1 else f"{LINK_HOURS} hours"
    return f"Nobody can sign in yet. Make the first administrator within {until}: {address}/password/{make_link(store)}"


def is_loopback(host: str) -> bool:
    """Whether an address or name is this machine's own."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
