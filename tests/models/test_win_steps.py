"""Steps of small data, by hand."""

import pytest

from models.win_steps import sentences, step_of


@pytest.mark.parametrize(
    ("won", "lost", "step"),
    [(0, 500, 0), (40, 39, 0), (40, 40, 1), (300, 99, 1), (100, 100, 2), (200, 200, 3), (799, 200, 3), (20, 980, 4)],
)
def test_the_scarcer_outcome_decides_until_a_thousand_deals_are_closed(won, lost, step):
    assert step_of(won, lost) == step


def test_what_is_lacking_is_counted_for_each_outcome():
    en, zh = sentences(52, 31)  # 40 - 31 = 9; of won there are enough
    assert en == (
        "52 won and 31 lost deals: rates only, or little more. "
        "With 9 more lost deals: fields may help a little, and now and then do harm."
    )
    assert zh == "52笔赢单、31笔输单：只能给出比率，或略优于比率。再有9笔输单：字段可能略有帮助，偶尔也会有害。"
    assert "With 30 more won and 41 more lost deals: fields should do no harm" in sentences(70, 59)[0]
    assert "再有30笔赢单、41笔输单" in sentences(70, 59)[1]


def test_the_last_step_asks_for_deals_of_any_outcome_and_is_the_end():
    assert "With 400 more closed deals: trees" in sentences(350, 250)[0]
    assert sentences(600, 900) == (
        "600 won and 900 lost deals: trees, and each deal's own timing.",
        "600笔赢单、900笔输单：可用树模型，并给出每笔商机自己的时间。",
    )
