"""E-mail by the company's own server, as the settings name it."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from crm.errors import NotReady
from serving.settings import Settings

_SECONDS = 20


class NoMail(NotReady):
    """No mail server is set."""

    def __init__(self) -> None:
        super().__init__(
            "No mail server is set. Set BELLWETHER_MAIL_HOST and BELLWETHER_MAIL_FROM, or download the text and send "
            "it yourself."
        )


class MailFailed(NotReady):
    """The mail server did not take a message."""


@dataclass(frozen=True)
class Mail:
    """Sends plain text.

    Parameters
    ----------
    settings : Settings
        mail_host and those beside it.
    """

    settings: Settings

    @property
    def ready(self) -> bool:
        """Whether a mail server is set."""
        return bool(self.settings.mail_host and self.settings.mail_from)

    def send(self, to: Sequence[str], subject: str, text: str) -> None:
        """Send one message to all.

        Raises
        ------
        NoMail
            If no server is set.
        MailFailed
            If it cannot be reached or refuses.
        """
        if not self.ready:
            raise NoMail
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.settings.mail_from, ", ".join(to), subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="bellwether")
        message.set_content(text)
        try:
            with self._server() as server:
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            where = f"{self.settings.mail_host}:{self.settings.mail_port}"
            raise MailFailed(
                "The mail server {where} did not take the message ({error}). Check BELLWETHER_MAIL_*, or download "
                "the text and send it yourself.",
                where=where,
                error=error,
            ) from None

    def _server(self) -> smtplib.SMTP:
        given, kind = self.settings, self.settings.mail_security
        assert given.mail_host is not None
        if kind == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                given.mail_host, given.mail_port, timeout=_SECONDS, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(given.mail_host, given.mail_port, timeout=_SECONDS)
            if kind == "starttls":
                server.starttls(context=ssl.create_default_context())
        if given.mail_user and given.mail_password:
            server.login(given.mail_user, given.mail_password.get_secret_value())
        return server
