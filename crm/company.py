"""The company's settings, `company.yaml`: one typed model; an unknown key is an error with the nearest known one."""

from __future__ import annotations

from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from crm.errors import BadInput
from crm.fiscal import Grain, Months, Period, Weekday, period_of, week_period_of
from crm.own_actions import OwnAction
from crm.yaml_lines import line_of


class BadSetting(BadInput):
    """A key or value of company.yaml cannot be used."""

    def __init__(self, key: str, problem: str, mend: str, line: int | None = None) -> None:
        super().__init__(f"company.yaml{f' line {line}' if line else ''}: {key} {problem}. {mend}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=True)


class Fiscal(_Section):
    """The fiscal calendar."""

    start_month: int = Field(1, ge=1, le=12, description="First month of the fiscal year.")
    named_by: Literal["start", "end"] = Field(
        "end", description="Whether a fiscal year takes the calendar year of its first or its last day."
    )
    months: Months = Field(
        "calendar", description="calendar; or 445, 454, 544: weeks of the three months of each quarter."
    )
    week_ends_on: Weekday = Field("saturday", description="Last day of a week, where months are made of weeks.")
    year_ends: Literal["last", "nearest"] = Field(
        "last",
        description="Where months are made of weeks: whether a year ends on the last such day of its last month, or on "
        "the one nearest to that month's end.",
    )

    @field_validator("months", mode="before")
    @classmethod
    def _weeks_are_a_word(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int) else value  # YAML reads 445 as a number


class Win(_Section):
    """What win forecasts look ahead to."""

    horizon_weeks: int = Field(60, ge=4, le=156, description="How far the win curve reaches, in weeks.")


class Churn(_Section):
    """When a customer counts as lost."""

    horizon_days: int = Field(90, ge=14, le=365, description="How far ahead churn is forecast, in days.")
    silent_days: int | None = Field(
        None, ge=14, description="Without contracts: lost after so many days without an order; unset: by own rhythm."
    )


Purpose = Literal["coaching", "appraisal", "pay", "contests"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


class People(_Section):
    """What is shown about persons, to whom, how long it is kept, and what it may be used for."""

    level: Literal["off", "team", "person"] = Field(
        "team", description="person: managers see each person's figures; team: each sees only the own; off: nobody any."
    )
    min_group: int = Field(5, ge=2, description="Below level person, figures of fewer people are withheld.")
    keep_months: int = Field(24, ge=1, description="How long figures on persons are kept, in months.")
    purposes: list[Purpose] = Field(
        default_factory=lambda: list(PURPOSES),
        description="What figures on persons may be used for, each once an administrator has recorded who agreed.",
    )

    @field_validator("level", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML reads a bare off as false


class RiskLimits(_Section):
    """From where on something stands in the risk register."""

    p_attain: float = Field(0.5, ge=0, le=1, description="Chance to reach a company's or team's goal, below it.")
    p_attain_person: float = Field(0.25, ge=0, le=1, description="The same of a person's goal.")
    coverage: float = Field(1.1, ge=0.5, le=5, description="What is left of a goal over what is expected to come.")
    key_accounts: int = Field(10, ge=0, le=1000, description="Largest customers that are looked at one by one.")
    churn: float = Field(0.2, gt=0, le=1, description="Chance that such a customer leaves; twice the usual is enough.")
    overload: float = Field(1.5, ge=1, le=10, description="A person's open deals over the team's median.")
    concentration: float = Field(0.3, gt=0, le=1, description="Share of the expected result in one deal or customer.")
    stalled: float = Field(0.25, gt=0, le=1, description="Share of the weighted pipeline in deals that stand still.")
    product_slump: float = Field(0.9, ge=0.5, le=1, description="Chance that a product ends below its plan.")
    discount_points: float = Field(5, ge=0, le=100, description="Points by which the median discount rose.")
    satisfaction: float = Field(0.5, gt=0, le=4, description="By how much the mean grade of a customer's tickets fell.")
    call_bias: float = Field(0.15, gt=0, le=5, description="Error of four calls running, all too high or all too low.")
    foreign: float = Field(0.2, ge=0, le=1, description="Share of the open pipeline in other currencies.")
    overdue: int = Field(5, ge=0, le=1000, description="Overdue actions of a team's people.")
    approval_asked: Annotated[str, Field(pattern=r"^x_[a-z0-9_]+$")] | None = Field(
        None, description="Own column of deals with the day an approval was asked for, empty once it is given."
    )
    approval_days: int = Field(5, ge=0, le=1000, description="Days that such an approval may wait.")
    contingency: float = Field(
        0.35, ge=0, le=1, description="Chance to reach a goal below which, twice running, a contingency plan starts."
    )
    contingency_once: float = Field(0.15, ge=0, le=1, description="The same, where once is enough.")
    account_lost: float = Field(0.5, gt=0, le=1, description="Chance that a key customer leaves, for the same.")


class Plan(_Section):
    """Working days, and who carries no target."""

    workweek: list[Annotated[int, Field(ge=1, le=7)]] = Field(
        [1, 2, 3, 4, 5], min_length=1, description="Days worked, Monday 1 to Sunday 7."
    )
    holidays: list[date] = Field(default_factory=list, description="Days off within the week.")
    extra_workdays: list[date] = Field(default_factory=list, description="Days worked outside the week.")
    no_target_roles: list[str] = Field(["manager"], description="Roles of reps that carry no target of their own.")
    risks: RiskLimits = Field(default_factory=RiskLimits, description="The risk register.")


class Advice(_Section):
    """Suggested next steps."""

    hold_back: float = Field(
        0.1, ge=0, le=0.5, description="Share of suggestions held back by chance, to learn whether they help; 0: none."
    )
    hour_cost: float = Field(
        0.0, ge=0, description="What an hour of a rep costs, in base currency; a step's expected value is less by it."
    )
    steps_a_day: int = Field(3, ge=1, le=20, description="Next steps that a person is shown for a day.")
    actions: list[OwnAction] = Field(default_factory=list, description="Steps of the company's own.")


class WriteBack(_Section):
    """Fields of a CRM's deals that get what was forecast; one that is unset is not written."""

    win_probability: str | None = Field(None, description="Field for the win probability, a number.")
    probability_as: Literal["percent", "fraction"] = Field("percent", description="63 or 0.63.")
    reasons: str | None = Field(None, description="Field for what raises and lowers it, text.")
    next_step: str | None = Field(None, description="Field for the next step, text.")
    language: Literal["en", "zh"] = Field("en", description="Language of both texts.")

    @property
    def fields(self) -> list[str]:
        """Fields that are written."""
        return [f for f in (self.win_probability, self.reasons, self.next_step) if f]

    @model_validator(mode="after")
    def _one_field_each(self) -> WriteBack:
        if not self.fields:
            raise ValueError("names no field; give one of win_probability, reasons, next_step")
        if len(set(self.fields)) < len(self.fields):
            raise ValueError("names a field twice; give each its own")
        return self


class OwnFeature(_Section):
    """A feature of the company's own: one SQL aggregate over a block's events."""

    block: str = Field(description="Block whose events it reads, such as deal_activity.")
    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Name of the feature.")
    sql: str = Field(description="One SQL aggregate.")
    unit: str = Field(description="Unit of its values.")
    en: str = Field(description="What it says, in English.")
    zh: str = Field("", description="What it says, in Chinese; the English where empty.")
    can_act: bool = Field(False, description="Whether a rep can change it.")
    _line: int | None = PrivateAttr(None)

    @property
    def place(self) -> str:
        """Where it stands, such as 'company.yaml line 12: feature long_calls'."""
        line = f" line {self._line}" if self._line else ""
        return f"company.yaml{line}: feature {self.name}"

    def __eq__(self, other: object) -> bool:
        """Whether it says the same, wherever it stands."""
        return isinstance(other, OwnFeature) and self.model_dump() == other.model_dump()

    def __hash__(self) -> int:
        return hash((self.block, self.name, self.sql))


class Company(_Section):
    """Everything a company decides for itself."""

    name: str = Field("My company", description="Name shown on pages and reports.")
    sample: bool = Field(False, description="True only in a home that holds the sample company.")
    base_currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="Currency of all totals, ISO 4217.")
    time_zone: str = Field("UTC", description="Time zone of days and periods, such as Asia/Shanghai.")
    fiscal: Fiscal = Field(default_factory=Fiscal, description="The fiscal calendar.")
    stages: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Open stages of each pipeline, first to last; '*' for all pipelines. Unset: read from history.",
    )
    win: Win = Field(default_factory=Win, description="Win forecasts.")
    churn: Churn = Field(default_factory=Churn, description="Churn forecasts.")
    people: People = Field(default_factory=People, description="Figures on persons.")
    plan: Plan = Field(default_factory=Plan, description="How goals are split and followed.")
    advice: Advice = Field(default_factory=Advice, description="Suggested next steps.")
    write_back: dict[str, WriteBack] = Field(
        default_factory=dict,
        description="What is written into a CRM's deals, by the CRM's name, such as "
        "{zoho: {win_probability: Win_Chance}}; unset: nothing.",
    )
    features: list[OwnFeature] = Field(default_factory=list, description="Features of the company's own.")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"is '{value}', which is no time zone; give one such as Asia/Shanghai")
        return value

    @classmethod
    def load(cls, path: Path) -> Company:
        """Read a company.yaml; a missing file means all defaults.

        Raises
        ------
        BadSetting
            If the file is no mapping, a key is unknown, or a value does not fit.
        """
        if not path.exists():
            return cls()
        try:
            text = path.read_text(encoding="utf-8")
            data = yaml.safe_load(text) or {}
        except UnicodeDecodeError as error:
            raise BadSetting("the file", f"is not UTF-8 at byte {error.start}", "Save it as UTF-8.") from None
        except yaml.YAMLError as error:
            raise BadSetting(
                "the file", f"is no YAML ({_one_line(error)})", "Check indents and colons there."
            ) from None
        if not isinstance(data, dict):
            raise BadSetting("the file", "is no list of keys", "Write lines such as 'base_currency: EUR'.")
        return cls.parse(data, text)

    @classmethod
    def parse(cls, data: dict[str, Any], text: str = "") -> Company:
        """Check settings given as a mapping, read from a YAML text or not; errors as in `load`."""
        try:
            found = cls.model_validate(data)
        except ValidationError as error:
            raise _first_problem(error, text) from None
        for place, own in enumerate(found.features if text else []):
            own._line = line_of(text, ("features", place))
        for place, step in enumerate(found.advice.actions if text else []):
            step._line = line_of(text, ("advice", "actions", place))
        return found

    def save(self, path: Path) -> None:
        """Write the settings that differ from the defaults."""
        data = self.model_dump(mode="json", exclude_defaults=True)
        path.write_text(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), encoding="utf-8")

    def period_of(self, day: date, grain: Grain = "quarter") -> Period:
        """Fiscal period of a day (in the company's time zone)."""
        fiscal = self.fiscal
        if fiscal.months == "calendar":
            return period_of(day, grain, start_month=fiscal.start_month, named_by=fiscal.named_by)
        return week_period_of(
            day, grain, months=fiscal.months, start_month=fiscal.start_month, week_ends_on=fiscal.week_ends_on,
            year_ends=fiscal.year_ends, named_by=fiscal.named_by,
        )  # fmt: skip

    def previous(self, period: Period, grain: Grain = "quarter") -> Period:
        """The fiscal period just before."""
        return self.period_of(period.start - timedelta(days=1), grain)

    @property
    def zone(self) -> ZoneInfo:
        """Time zone of days and periods."""
        return ZoneInfo(self.time_zone)


def example_yaml() -> str:
    """A company.yaml with every key, its default and what it means, all commented out."""
    return "\n".join(["# Settings of the company. Remove the # of what you want to change.", *_example(Company)]) + "\n"


def _example(model: type[BaseModel], indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, info in model.model_fields.items():
        lines.append(f"# {indent}# {info.description}")
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            lines += [f"# {indent}{name}:", *_example(inner, indent + "  ")]
        else:
            default = info.get_default(call_default_factory=True)
            lines.append(f"# {indent}{name}: {yaml.safe_dump(default, default_flow_style=True).splitlines()[0]}")
    return lines


def _first_problem(error: ValidationError, text: str) -> BadSetting:
    # A misspelt key first: it may be why another is missing.
    problem = min(error.errors(), key=lambda p: p["type"] != "extra_forbidden")
    where = [str(part) for part in problem["loc"]]
    key = ".".join(where) or "the file"
    line = line_of(text, problem["loc"]) if text else None
    if problem["type"] == "extra_forbidden":
        near = get_close_matches(where[-1], _keys(where[:-1]), n=1, cutoff=0.5)
        mend = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(_keys(where[:-1]))}."
        return BadSetting(key, "is not a known key", mend, line)
    if problem["type"] == "missing":
        return BadSetting(key, "is missing", f"Give it: {_described(where)}", line)
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return BadSetting(key, said, "The default holds when the line is removed.", line)
    return BadSetting(key, f"is {problem['input']!r}", said + ".", line)


def _described(where: list[str]) -> str:
    return _model_at(where[:-1]).model_fields[where[-1]].description or ""


def _keys(where: list[str]) -> list[str]:
    return sorted(_model_at(where).model_fields)


_INNER: dict[str, type[BaseModel]] = {"features": OwnFeature, "actions": OwnAction, "write_back": WriteBack}


def _model_at(where: list[str]) -> type[BaseModel]:
    model: type[BaseModel] = Company
    for part in where:
        info = model.model_fields.get(part)
        inner = _INNER.get(part) or (info.annotation if info else None)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return model


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
