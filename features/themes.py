"""What features tell about, in a few words: for many reasons at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crm.company import Company
from features.catalogue import OTHERS, WHO, Entity, blocks

OWN = ("Fields of your own", "自定义字段")
_CONTACT = ("Contact with the customer", "与客户的互动")
_SERVICE = ("The customer's service record", "客户服务记录")
_ORDERS = ("The customer's orders", "客户订单")
_CONTRACTS = ("The customer's contracts", "客户合同")
_PEOPLE = ("People at the customer", "客户方人员")
# By block; what tells who somebody is goes under `WHO`.
THEMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "deal_context": ("What the deal is", "商机本身的情况"),
        "deal_activity": _CONTACT,
        "deal_path": ("How the deal moved", "商机的推进过程"),
        "owner_record": (WHO.en, WHO.zh),
        "customer_record": ("Deals with this customer before", "与该客户以往的商机"),
        "customer_orders": _ORDERS,
        "customer_service": _SERVICE,
        "customer_people": _PEOPLE,
        "account_orders": _ORDERS,
        "account_rhythm": _ORDERS,
        "account_contracts": _CONTRACTS,
        "account_contract_ends": _CONTRACTS,
        "account_service": _SERVICE,
        "account_grades": _SERVICE,
        "account_answers": ("What the customer answered in surveys", "客户调查反馈"),
        "account_contact": _CONTACT,
        "account_departures": _PEOPLE,
        "account_handovers": ("Who looks after the customer", "客户由谁负责"),
        "account_health": ("Who the customer is", "客户本身的情况"),
    }
)


def themes(entity: Entity, company: Company | None = None) -> dict[str, tuple[str, str]]:
    """Features of an entity and what each tells about, in English and Chinese."""
    return {
        feature.name: THEMES.get(block.name, (OTHERS.en, OTHERS.zh))
        for block in blocks(entity, company)
        for feature in block.features
    }


def theme(known: Mapping[str, tuple[str, str]], name: str) -> tuple[str, str]:
    """What one feature tells about; a custom column is the company's own."""
    return known.get(name, OWN if name.startswith("x_") else (OTHERS.en, OTHERS.zh))
