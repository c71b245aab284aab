"""Made-up names of people and companies, Western and Chinese."""

from __future__ import annotations

import numpy as np

_FIRST = (
    "Ada Bram Cleo Dario Elin Faye Gus Hedda Ivo Juno Kees Lotte "
    "Milo Nell Otto Pia Quinn Rosa Sven Tess Uma Vito Wim Zoe"
).split()
_LAST = (
    "Quillfeather Marrowby Thistlewick Brambleton Oddfellow Pennywhistle Larkspur Copperpot Fennimore Wintergreen "
    "Applegarth Nettlefold Saltmarsh Tumbledown Hollowell Figgins Mossgrove Rumblethorpe Dandelow Inkpen"
).split()  # fmt: skip
_FAMILY = "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗".split()
_GIVEN = "星河 云帆 青禾 墨白 晴川 松岚 竹溪 暖阳 月白 拾光 知秋 听雨 山岚 南枝 北辰 锦书 若谷 清嘉 远舟 半夏".split()
_HEAD = (
    "Copperleaf Northwind Blue-Heron Silverbirch Redstone Ironbark "
    "Moonpine Clearbrook Goldfinch Stillwater Oakmere Foxglove"
).split()
_BODY = (
    "Mills Tooling Optics Dairy Freight Ceramics Clinics "
    "Robotics Textiles Bakeries Turbines Plastics Analytics Farms Pumps"
).split()
_FORM = ("GmbH", "BV", "SA", "AB", "Ltd", "SpA")
_PLACE = "青禾 云岭 海棠 白鹭 金穗 远帆 松石 星野 银杏 蓝湾 丹霞 竹海".split()
_TRADE = "精工 光学 乳业 物流 陶瓷 诊所 机器人 纺织 食品 动力 塑料 数据 农业 泵业 仪表".split()
_TITLES = {
    "staff": ("Buyer", "Engineer", "Analyst"),
    "manager": ("Purchasing manager", "Plant manager", "IT manager"),
    "director": ("Director of operations", "Director of purchasing"),
    "vp": ("VP operations", "VP engineering"),
    "c-level": ("CEO", "CFO", "COO"),
}


def people(rng: np.random.Generator, chinese: np.ndarray) -> list[str]:
    """Return one full name a person."""
    draws = rng.integers(0, 1 << 30, (len(chinese), 2))
    return [
        f"{_FAMILY[a % len(_FAMILY)]}{_GIVEN[b % len(_GIVEN)]}"
        if is_chinese
        else f"{_FIRST[a % len(_FIRST)]} {_LAST[b % len(_LAST)]}"
        for is_chinese, (a, b) in zip(chinese.tolist(), draws.tolist(), strict=True)
    ]


def companies(rng: np.random.Generator, chinese: np.ndarray) -> list[str]:
    """Return one company name an account; a running number keeps them apart."""
    draws = rng.integers(0, 1 << 30, (len(chinese), 3))
    return [
        f"{_PLACE[a % len(_PLACE)]}{_TRADE[b % len(_TRADE)]}{n}号公司"
        if is_chinese
        else f"{_HEAD[a % len(_HEAD)]} {_BODY[b % len(_BODY)]} {n} {_FORM[c % len(_FORM)]}"
        for n, (is_chinese, (a, b, c)) in enumerate(zip(chinese.tolist(), draws.tolist(), strict=True), start=1)
    ]


def titles(rng: np.random.Generator, seniorities: list[str]) -> list[str]:
    """Return a job title for each level."""
    draws = rng.integers(0, 1 << 30, len(seniorities)).tolist()
    return [_TITLES[level][draw % len(_TITLES[level])] for level, draw in zip(seniorities, draws, strict=True)]
