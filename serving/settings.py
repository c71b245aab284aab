"""Every setting, once: read from BELLWETHER_* (and MLflow's own server) in the environment, as nothing else is."""

from __future__ import annotations

import os
from datetime import time
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError


class Settings(BaseSettings):
    """What differs between installations; what a company decides stands in company.yaml."""

    model_config = SettingsConfigDict(env_prefix="BELLWETHER_", extra="ignore", env_parse_none_str="never")

    home: Path = Field(Path("var"), description="Folder that holds lake, store, models, scores and company.yaml.")
    database_url: str | None = Field(
        None, description="Store, such as postgresql+psycopg://user@host/bellwether; unset: store.db in the home."
    )
    tracking_uri: str | None = Field(
        default_factory=lambda: mlflow_server(),
        description="MLflow's store or server, such as http://host:5000; unset: the server that MLFLOW_TRACKING_URI "
        "names, else mlflow.db in the home.",
    )
    engine: str = Field(
        "duckdb", description="What works features out from the lake: duckdb, spark, spark://host:port, sc://host:port."
    )
    host: str = Field("127.0.0.1", description="Address to serve on; another than loopback asks everyone to sign in.")
    port: int = Field(8000, ge=1, le=65535, description="Port to serve on.")
    workers: int = Field(1, ge=1, le=64, description="Processes that answer requests.")
    log_format: Literal["human", "json"] = Field("human", description="Log lines for people, or as JSON for programs.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    metrics_token: SecretStr | None = Field(
        None, description="Who sends it may read /metrics; unset: only this machine may."
    )
    old_after_hours: int = Field(72, ge=1, description="Age of the newest scores' data from which pages warn.")
    upload_mb: int = Field(500, ge=1, description="Most that one import over the web may send, in megabytes.")
    score_at: time | None = Field(
        time(2),
        description="When the worker scores every day, on the company's clock, such as 02:00; never: not at all.",
    )
    remind_at: time | None = Field(
        time(8, 30),
        description="When the worker mails people what is due, on working days on the company's clock; never: not at "
        "all.",
    )
    session_days: int = Field(14, ge=1, le=365, description="How long one stays signed in, in days.")
    secure_cookies: bool = Field(False, description="True where pages are served by HTTPS only.")
    proxies: str | None = Field(
        None, description="Reverse proxies whose X-Forwarded-For and -Proto are believed, by address, comma-separated."
    )
    oidc_issuer: str | None = Field(
        None, description="Sign-in provider (OpenID Connect), such as https://id.example.com."
    )
    oidc_client_id: str | None = Field(None, description="What the provider calls this server.")
    oidc_client_secret: SecretStr | None = Field(None, description="The secret that the provider gave this server.")
    oidc_role_claim: str = Field("groups", description="Claim of the provider that tells roles.")
    oidc_roles: dict[str, Literal["rep", "manager", "analyst", "admin"]] = Field(
        {}, description='Role of each value of that claim, as JSON: {"sales-leads": "manager"}; unset: all keep theirs.'
    )
    mail_host: str | None = Field(
        None, description="Mail server (SMTP) that sends minutes and reminders; unset: minutes are downloaded."
    )
    mail_port: int = Field(587, ge=1, le=65535, description="Its port.")
    mail_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="How the way to it is closed: starttls, tls, or none within one machine."
    )
    mail_from: str | None = Field(None, description="Sender's address, such as bellwether@example.com.")
    mail_user: str | None = Field(None, description="User at the mail server; unset: it asks for none.")
    mail_password: SecretStr | None = Field(None, description="That user's password.")
    keys: Path | None = Field(None, description="YAML file with keys to CRMs, mode 600; unset: the settings below.")
    zoho_client_id: SecretStr | None = Field(None, description="Zoho CRM: OAuth client.")
    zoho_client_secret: SecretStr | None = Field(None, description="Zoho CRM: the client's secret.")
    zoho_refresh_token: SecretStr | None = Field(None, description="Zoho CRM: refresh token with read scopes.")
    zoho_data_centre: str | None = Field(None, description="Zoho CRM: us, eu, in, au, cn, jp, ca, sa or uk.")
    zoho_accounts: str | None = Field(None, description="Zoho CRM: accounts server; unset: the data centre's.")
    zoho_timeline: bool = Field(
        False, description="Zoho CRM: read timelines for past amounts and close dates, by a further call a deal."
    )
    fxiaoke_app_id: SecretStr | None = Field(None, description="纷享销客: the app's id.")
    fxiaoke_app_secret: SecretStr | None = Field(None, description="纷享销客: the app's secret.")
    fxiaoke_permanent_code: SecretStr | None = Field(None, description="纷享销客: the company's permanent code.")
    fxiaoke_user_id: str | None = Field(None, description="纷享销客: employee in whose name is read, such as 1000.")
    fxiaoke_cloud: str | None = Field(
        None, description="纷享销客: fxiaoke, huawei, ali, hongkong, frankfurt or northamerica; unset: fxiaoke."
    )
    fxiaoke_host: str | None = Field(None, description="纷享销客: address of its API; unset: the cloud's.")
    salesforce_login: str | None = Field(
        None, description="Salesforce: the company's address, such as https://firm.my.salesforce.com."
    )
    salesforce_client_id: SecretStr | None = Field(None, description="Salesforce: consumer key of a connected app.")
    salesforce_client_secret: SecretStr | None = Field(None, description="Salesforce: the app's consumer secret.")
    salesforce_refresh_token: SecretStr | None = Field(
        None, description="Salesforce: refresh token; unset: the app's client credentials."
    )
    hubspot_token: SecretStr | None = Field(None, description="HubSpot: a private app's access token.")
    hubspot_client_id: SecretStr | None = Field(None, description="HubSpot: an app's client, where there is no token.")
    hubspot_client_secret: SecretStr | None = Field(None, description="HubSpot: that client's secret.")
    hubspot_refresh_token: SecretStr | None = Field(None, description="HubSpot: refresh token of that client.")
    hubspot_host: str | None = Field(None, description="HubSpot: address of its API; unset: HubSpot's own.")
    tryton_url: str | None = Field(None, description="Tryton: its address, such as https://erp.example.org.")
    tryton_database: str | None = Field(None, description="Tryton: name of the database.")
    tryton_user: str | None = Field(None, description="Tryton: user with read access.")
    tryton_password: SecretStr | None = Field(None, description="Tryton: that user's password.")


_PREFIX = "BELLWETHER_"


def read_settings() -> tuple[Settings | None, str]:
    """The settings, or None and a sentence on each of them that cannot be read."""
    try:
        return Settings(), ""
    except ValidationError as error:
        return None, " ".join(_unread(str(e["loc"][0]), str(e["input"]), e["msg"]) for e in error.errors())
    except SettingsError as error:  # a value that should be JSON
        name = next((field for field in Settings.model_fields if f'"{field}"' in str(error)), "")
        return None, _unread(name, os.environ.get(f"{_PREFIX}{name.upper()}", ""), "This is no JSON")


def _unread(name: str, value: str, why: str) -> str:
    known = Settings.model_fields.get(name)
    return f"{_PREFIX}{name.upper()} is '{value}'. {why}. It means: {known.description if known else ''}"


def unknown_names() -> list[tuple[str, str | None]]:
    """Names in the environment that look like settings and are none, each with the nearest that is one."""
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    strange = sorted(name for name in os.environ if name.upper().startswith(_PREFIX) and name.upper() not in known)
    return [(name, next(iter(get_close_matches(name.upper(), known, 1)), None)) for name in strange]


def mlflow_server() -> str | None:
    """The server that MLFLOW_TRACKING_URI names.

    A file is none: `mlflow run` names one for all that it starts, where models of a home do not belong.
    """
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    return named if named.startswith(("http://", "https://")) else None


def quiet_libraries() -> None:
    """Turn off usage data of libraries; to be called before they are imported, since they decide then."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # MLflow asks for git, which need not be there


def share_metrics(folder: Path) -> None:
    """Let this process and those it starts share their counts; to be called before any of them counts."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


quiet_libraries()
