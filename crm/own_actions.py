"""A step of the company's own as company.yaml names it: how it shows in the history, when it fits, how to say it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

ActivityKind = Literal["email", "call", "meeting", "demo", "proposal", "visit", "note", "task"]
Level = Literal["staff", "manager", "director", "vp", "c-level"]
_TELLS = ("seniority", "outcome")


class OwnAction(BaseModel):
    """A step of the company's own; it shows as an activity, or as a change of a logged field."""

    model_config = ConfigDict(extra="forbid", validate_default=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="Name in files and the API.")
    en: str = Field(min_length=1, max_length=80, description="What to do, in English: 'Arrange a reference call'.")
    zh: str = Field("", max_length=80, description="The same in Chinese; the English where empty.")
    kind: ActivityKind | None = Field(None, description="Kind of activity that it is logged as; ours, not theirs.")
    seniority: list[Level] = Field(default_factory=list, description="Levels of the contact; empty: any, or none.")
    outcome: str | None = Field(None, min_length=1, description="What the activity's outcome says; unset: anything.")
    field: str | None = Field(None, pattern=r"^[a-z][a-z0-9_]*$", description="Logged field of the deal it changes.")
    to: str | None = Field(None, description="The field's new value; unset: any.")
    when: str = Field("true", description="Deals that it fits: a condition on features, such as demos > 0.")
    why_en: str = Field("", max_length=200, description="Why it fits, in English.")
    why_zh: str = Field("", max_length=200, description="Why it fits, in Chinese; the English where empty.")
    due_in_days: int = Field(7, ge=1, le=90, description="When it should be done.")
    effort_hours: float = Field(1.0, ge=0, le=200, description="Hours that it takes.")
    cooling_off_days: int = Field(14, ge=0, le=365, description="Not suggested again so many days after it was done.")
    _line: int | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _shows_in_one_way(self) -> OwnAction:
        if (self.kind is None) == (self.field is None):
            raise ValueError("shows in no way or in two; give either kind or field")
        if self.field and any(getattr(self, name) for name in _TELLS):
            raise ValueError("tells an activity by its contact or outcome, but gives no kind; give kind, not field")
        if self.kind and self.to is not None:
            raise ValueError("gives a field's new value without a field; leave out 'to', or give field, not kind")
        return self

    @property
    def place(self) -> str:
        """Where it stands, such as 'company.yaml line 12: action reference_call'."""
        line = f" line {self._line}" if self._line else ""
        return f"company.yaml{line}: action {self.name}"

    def called(self, language: str) -> str:
        """What to do in a language, 'en' or 'zh'."""
        return self.zh if language.startswith("zh") and self.zh else self.en

    def __eq__(self, other: Any) -> bool:
        """Whether it says the same, wherever it stands."""
        return isinstance(other, OwnAction) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash((self.name, self.kind, self.field, self.when))
