"""Every feature that reasons may show tells about something with a name."""

import pytest

from features.catalogue import OTHERS, features
from features.themes import OWN, theme, themes


@pytest.mark.parametrize("entity", ["deal", "account"])
def test_no_feature_is_left_without_a_theme(entity):
    known = themes(entity)
    assert {f.name for f in features(entity)} <= known.keys()
    assert not [name for name, words in known.items() if words == (OTHERS.en, OTHERS.zh) and _shown(entity, name)]


def _shown(entity, name):
    return name in {f.name for f in features(entity)}


def test_custom_columns_are_the_companys_own():
    assert theme(themes("deal"), "x_need_score") == OWN
    assert theme(themes("deal"), "other_reasons") == (OTHERS.en, OTHERS.zh)
