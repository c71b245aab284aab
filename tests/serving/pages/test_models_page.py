"""The page of the models: when to train again, as `bellwether monitor` found it last."""

import pytest

from serving import watched
from serving.watched import Watched
from training.trigger import Trigger


@pytest.fixture
def found(site):
    """Deals ended since, and a field that stopped being filled."""
    triggers = [
        Trigger("win", "schedule", False, "Its data end 3 days before the newest; 90 are allowed.", 3.0, 90.0),
        Trigger("win", "new outcomes", True, "412 deals ended since it was trained.", 412.0, 200.0),
    ]
    kept = Watched("2026-03-02T00:00:00+00:00", 1, triggers, ["activities.direction stopped being filled"])
    watched.keep(site.home, kept)
    yield kept
    (site.home.root / watched.FILE).unlink()


def test_without_a_look_the_page_says_how_to_take_one(site):
    with site.signed_in() as client:
        assert "Run: bellwether monitor" in client.get("/models").text


def test_what_is_due_stands_first_and_the_broken_field_is_named(site, found):
    with site.signed_in() as client:
        text = client.get("/models").text
    assert "Time to train again: Win." in text
    assert "activities.direction stopped being filled" in text
    assert text.index("412 ended since") < text.index("Its data end 3 days")


def test_it_stands_in_chinese_too(site, found):
    with site.signed_in() as client:
        text = client.get("/models", headers={"accept-language": "zh-CN"}).text
    assert "训练后已有412个新结果；达到200个需重新训练。" in text
    assert "训练数据比最新数据早3天；允许90天。" in text


def test_what_was_kept_is_read_back_as_it_was(site, found):
    assert watched.newest(site.home) == found
