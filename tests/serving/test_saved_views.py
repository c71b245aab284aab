"""Saved views are each user's own; a removed one comes back."""

import pytest

from serving.saved_views import MOST, BadView, NoView, remove_view, removed_view, restore_view, save_view, saved_views
from serving.store import Store
from serving.users import add_user
from tests.serving.small_site import PASSWORD


@pytest.fixture
def two(store: Store) -> tuple[int, int]:
    ann, bob = (add_user(store, f"{name}@example.com", PASSWORD, "admin") for name in ("ann", "bob"))
    return ann, bob


def names(store: Store, user: int) -> list[str]:
    return [view.name for view in saved_views(store, user, "deals")]


def test_views_are_kept_by_name_each_for_its_user(store, two):
    ann, bob = two
    save_view(store, ann, "deals", "  Large   deals ", "least=1000")
    save_view(store, ann, "deals", "Large deals", "least=5000")  # the same name stands in its place
    save_view(store, bob, "deals", "Mine", "owner=r1")
    assert [(v.name, v.query) for v in saved_views(store, ann, "deals")] == [("Large deals", "least=5000")]
    assert names(store, bob) == ["Mine"]
    assert saved_views(store, ann, "leads") == saved_views(store, None, "deals") == []


def test_a_removed_view_comes_back_and_nobody_else_can_touch_it(store, two):
    ann, bob = two
    view = save_view(store, ann, "deals", "Large", "least=1000")
    with pytest.raises(NoView):
        remove_view(store, bob, view)
    remove_view(store, ann, view)
    assert names(store, ann) == []
    assert removed_view(store, bob, view) is None
    assert removed_view(store, ann, view).name == "Large"
    restore_view(store, ann, view)
    assert names(store, ann) == ["Large"]


def test_a_view_needs_a_name_and_there_are_not_endlessly_many(store, two):
    ann, _ = two
    with pytest.raises(BadView, match="no name"):
        save_view(store, ann, "deals", "   ", "")
    for n in range(MOST):
        save_view(store, ann, "deals", f"v{n:02d}", "")
    with pytest.raises(BadView, match="Remove one first"):
        save_view(store, ann, "deals", "one more", "")
