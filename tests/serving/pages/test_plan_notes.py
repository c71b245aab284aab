"""Notes of the plan's figures in both languages."""

import re
from pathlib import Path

import pytest

import planning
from serving.i18n import language
from serving.pages.plan_notes import notes_said


@pytest.mark.parametrize(
    ("note", "zh"),
    [
        ("2 left out: no amount or no rate to the base currency; no grade in the period",
         "2个未计入：无金额或无本币汇率；本期没有评分"),
        ("needs tickets or surveys", "需要tickets或surveys表"),
        ("needs market_sizes: 3 of 60 days are known", "需要market_sizes表：60天中已知3天"),
        ("", ""),
    ],
)  # fmt: skip
def test_notes_are_said_in_chinese(note, zh):
    assert notes_said(language("zh"), note) == zh


def test_every_note_of_the_plan_is_known():
    # Literal notes in the code that makes them; numbers and names stand for what is filled in.
    code = (Path(planning.__file__).parent / "goals.py").read_text("utf-8")
    found = set(re.findall(r'"(no [a-z ]+ (?:in|before) the period)"', code))
    assert len(found) == 3
    assert [note for note in found if notes_said(language("zh"), note) == note] == []
