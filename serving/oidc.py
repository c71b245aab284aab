"""Signing in at a company's own provider by OpenID Connect: authorization code with PKCE, state and nonce."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from sqlalchemy import delete, select

from crm.errors import NotAllowed, NotReady
from serving.access import Role
from serving.passwords import digest
from serving.settings import Settings
from serving.store import Store
from serving.tables.users import ProviderVisit, User
from serving.users import BadUser, LastAdministrator, add_user, change_user, plain

_SCOPES = "openid email profile"
_ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "PS256"]
_MINUTES = 10
_SECONDS = 10
_KEEP_SECONDS = 3600
_LEEWAY = 60


class NoProvider(NotAllowed):
    """No provider is set up."""

    def __init__(self) -> None:
        super().__init__("No sign-in provider is set up. Set BELLWETHER_OIDC_ISSUER, _CLIENT_ID and _CLIENT_SECRET.")


class ProviderSilent(NotReady):
    """The provider gives no usable answer."""

    def __init__(self, issuer: str, why: object) -> None:
        super().__init__(
            "The sign-in provider {issuer} does not answer as it should ({why}). Try again in a minute.",
            issuer=issuer,
            why=why,
        )


class ProviderRefused(NotAllowed):
    """What came back from the provider does not prove who someone is."""

    def __init__(self, why: str) -> None:
        super().__init__("Signing in at the provider did not work: {why}. Start again at /sign-in.", why=why)


class NotInvited(NotAllowed):
    """The provider knows the person; this company's users do not."""

    def __init__(self, email: str) -> None:
        super().__init__("{email} is no user here. Ask an administrator to add this e-mail address.", email=email)


@dataclass
class Provider:
    """A provider that this server is a client of.

    Parameters
    ----------
    issuer : str
        Its address; /.well-known/openid-configuration below it tells the rest.
    client_id, client_secret : str
        What the provider gave this server.
    role_claim : str
        Claim with one value or several that `roles` turns into a role.
    roles : dict of str to Role
        Value of the claim to role; empty leaves roles to administrators.
    """

    issuer: str
    client_id: str
    client_secret: str
    role_claim: str = "groups"
    roles: dict[str, Role] = field(default_factory=dict)
    _told: tuple[float, dict[str, Any], KeySet] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Provider | None:
        """The provider of the settings; None where none is set up."""
        if not (settings.oidc_issuer and settings.oidc_client_id and settings.oidc_client_secret):
            return None
        secret = settings.oidc_client_secret.get_secret_value()
        return cls(
            settings.oidc_issuer.rstrip("/"), settings.oidc_client_id, secret, settings.oidc_role_claim,
            dict(settings.oidc_roles),
        )  # fmt: skip

    def start(self, store: Store, back: str, wished: str) -> tuple[str, str]:
        """Where to send a browser, and the state that it must bring back.

        Parameters
        ----------
        back : str
            Address that the provider sends the browser to.
        wished : str
            Path to go to in the end.
        """
        verifier, nonce, state, now = generate_token(64), generate_token(32), generate_token(32), datetime.now(UTC)
        place = self._metadata()["authorization_endpoint"]
        proof = {"code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
        address = prepare_grant_uri(
            place, self.client_id, "code", redirect_uri=back, scope=_SCOPES, state=state, nonce=nonce, **proof
        )
        ends = now + timedelta(minutes=_MINUTES)
        with store.session() as session:
            session.execute(delete(ProviderVisit).where(ProviderVisit.ends_at < now))
            session.add(
                ProviderVisit(state_hash=digest(state), nonce=nonce, verifier=verifier, next=wished, ends_at=ends)
            )
        return str(address), state

    def finish(self, store: Store, state: str, code: str, back: str) -> tuple[User, str]:
        """Who came back, and the path to go to; a state works once.

        Raises
        ------
        ProviderRefused
            If state, code, token or e-mail do not hold.
        NotInvited
            If no user has this e-mail, and no role is mapped that would make one.
        """
        with store.session() as session:
            visit = session.scalar(
                select(ProviderVisit)
                .where(ProviderVisit.state_hash == digest(state), ProviderVisit.ends_at > datetime.now(UTC))
                .with_for_update()
            )
            if visit is None:
                raise ProviderRefused("it took too long, or was done already")
            session.delete(visit)
        claims = self._claims(code, visit, back)
        return self._user(store, claims), visit.next

    def _claims(self, code: str, visit: ProviderVisit, back: str) -> dict[str, Any]:
        told = self._metadata()
        try:
            token = self._token(told["token_endpoint"], code, visit.verifier, back)
            found = jwt.decode(token["id_token"], self._keys(), algorithms=_ALGORITHMS)
            wanted = {"iss": told["issuer"], "aud": self.client_id, "nonce": visit.nonce}
            rules: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in wanted.items()}
            essential: dict[str, Any] = {"exp": {"essential": True}, "sub": {"essential": True}}
            jwt.JWTClaimsRegistry(leeway=_LEEWAY, **rules, **essential).validate(found.claims)
        except httpx.HTTPError as error:
            raise ProviderSilent(self.issuer, error) from None
        except (JoseError, KeyError, ValueError) as error:
            raise ProviderRefused(str(error) or type(error).__name__) from None
        return dict(found.claims)

    def _user(self, store: Store, claims: dict[str, Any]) -> User:
        email, subject = plain(str(claims.get("email") or "")), f"{claims['iss']} {claims['sub']}"
        if not email or claims.get("email_verified") not in (True, "true"):
            raise ProviderRefused("it has not verified your e-mail address")
        role = self._role(claims)
        with store.session() as session:
            known = session.scalar(select(User).where(User.subject == subject))
            user = known or session.scalar(select(User).where(User.email == email, User.subject.is_(None)))
            if user is not None:
                user.subject = subject
        if user is None:
            user = self._newcomer(store, email, subject, role)
        if user.ended_at is not None:
            raise NotInvited(email)
        if role is not None and role != user.role:
            try:
                return change_user(store, user.user_id, role=role)
            except (BadUser, LastAdministrator):  # a rep whose rep_id is yet to be set, or the only administrator
                return user
        return user

    def _newcomer(self, store: Store, email: str, subject: str, role: Role | None) -> User:
        """Whoever the provider gives a role that needs no rep_id becomes a user by signing in."""
        if role not in ("analyst", "admin"):
            raise NotInvited(email)
        try:
            number = add_user(store, email, None, role)
        except BadUser:  # a user of this e-mail belongs to another person of the provider
            raise NotInvited(email) from None
        with store.session() as session:
            user = session.get_one(User, number)
            user.subject = subject
            return user

    def _role(self, claims: dict[str, Any]) -> Role | None:
        """The greatest role that the claim gives."""
        told = claims.get(self.role_claim) or []
        given = {self.roles[v] for v in ([told] if isinstance(told, str) else told) if v in self.roles}
        order: tuple[Role, ...] = ("admin", "analyst", "manager", "rep")
        return next((role for role in order if role in given), None)

    def _token(self, place: str, code: str, verifier: str, back: str) -> dict[str, Any]:
        """What the provider gives for a code."""
        given = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier, "redirect_uri": back}
        with httpx.Client(timeout=_SECONDS) as client:
            # The standard has both parts of basic authentication encoded as in a form.
            known = (quote(self.client_id, safe=""), quote(self.client_secret, safe=""))
            answer = client.post(place, data=given, auth=known, headers={"accept": "application/json"})
        told: dict[str, Any] = answer.json()
        if answer.is_error:
            raise ProviderRefused(str(told.get("error", answer.status_code)))
        return told

    def _metadata(self) -> dict[str, Any]:
        return self._ask()[1]

    def _keys(self) -> KeySet:
        return self._ask()[2]

    def _ask(self) -> tuple[float, dict[str, Any], KeySet]:
        """What the provider tells of itself, kept for an hour."""
        if self._told is None or self._told[0] < time.monotonic() - _KEEP_SECONDS:
            try:
                with httpx.Client(timeout=_SECONDS) as client:
                    told = client.get(f"{self.issuer}/.well-known/openid-configuration").raise_for_status().json()
                    keys = client.get(told["jwks_uri"]).raise_for_status().json()
                if told["issuer"].rstrip("/") != self.issuer:
                    raise ProviderSilent(self.issuer, f"it calls itself {told['issuer']}")
                self._told = (time.monotonic(), told, KeySet.import_key_set(keys))
            except (httpx.HTTPError, KeyError, ValueError) as error:
                raise ProviderSilent(self.issuer, error) from None
        return self._told
