"""What work with CRMs keeps: fields that were written back, channels of messages, records these say are to be read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class WrittenBack(Base):
    """What was last written into a CRM's deal, by field."""

    __tablename__ = "written_back"
    crm: Mapped[str] = mapped_column(String(20), primary_key=True)
    deal_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    fields: Mapped[dict[str, Any]] = mapped_column(JSON)
    written_at: Mapped[datetime] = mapped_column(UtcTime)


class Channel(Base):
    """One channel by which a CRM sends messages on changes, and when it ends."""

    __tablename__ = "crm_channels"
    crm: Mapped[str] = mapped_column(String(20), primary_key=True)
    channel_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    address: Mapped[str] = mapped_column(String(2000))
    expires_at: Mapped[datetime] = mapped_column(UtcTime)


class Touched(Base):
    """A record that a message named and that is still to be read; one row however often it is named."""

    __tablename__ = "crm_touched"
    crm: Mapped[str] = mapped_column(String(20), primary_key=True)
    resource: Mapped[str] = mapped_column(String(100), primary_key=True)
    record_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    gone: Mapped[bool] = mapped_column()
    said_at: Mapped[datetime] = mapped_column(UtcTime)  # by the CRM's clock
    received_at: Mapped[datetime] = mapped_column(UtcTime)


class MessageSeen(Base):
    """Digest of a message that was taken, so that it is not taken twice."""

    __tablename__ = "crm_messages"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcTime)
