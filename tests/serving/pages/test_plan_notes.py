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
        ("season of 2 years before; curves of 5 past periods; open deals as forecast",
         "前2年的季节曲线；5个往期的曲线；在跟商机按预测计"),
        ("needs tickets or surveys", "需要tickets或surveys表"),
        ("needs market_sizes: 3 of 60 days are known", "需要market_sizes表：60天中已知3天"),
        ("", ""),
    ],
)  # fmt: skip
def test_notes_are_said_in_chinese(note, zh):
    assert notes_said(language("zh"), note) == zh


def test_every_note_of_the_plan_is_known():
    # Literal notes in the code that makes them; numbers and names stand for what is filled in.
    code = "".join((Path(planning.__file__).parent / name).read_text("utf-8") for name in ("goals.py", "periods.py"))
    found = set(re.findall(r'"(no [a-z ]+ (?:in|before) the period)"', code))
    found |= set(re.findall(r'"((?:straight line|season of the)[^"]*)"', code))
    assert len(found) == 5
    assert [note for note in found if notes_said(language("zh"), note) == note] == []
