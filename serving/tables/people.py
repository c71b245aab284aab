"""Names of persons, who was erased, and this store's random values."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from serving.tables.base import Base, UtcTime


class Person(Base):
    """Names and addresses of one rep or contact; the lake holds the key alone."""

    __tablename__ = "people"
    person_key: Mapped[str] = mapped_column(String(40), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    source_id: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, str | None]] = mapped_column(JSON)
    __table_args__ = (UniqueConstraint("kind", "source_id"),)


class ErasedPerson(Base):
    """That a person was erased, so that the next import does not bring the name back; holds no name."""

    __tablename__ = "erased_people"
    source_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    person_key: Mapped[str] = mapped_column(String(40))
    erased_at: Mapped[datetime] = mapped_column(UtcTime)


class Secret(Base):
    """A random value of this store."""

    __tablename__ = "secrets"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(String(64))
