"""What a deal, its customer and its owner are, as written on the records of that day."""

from tests.features.rows import a_change, a_deal, day, describe, follow

DEAL = a_deal(
    kind="expansion",
    pipeline="north",
    product_id="p7",
    source="fair",
    stage="Quote",
    forecast_category="commit",
    amount=900.0,
    list_amount=1200.0,
    referred_by_account_id="a2",
    close_date=day("2026-04-20").date(),
)
ACCOUNT = {
    "account_id": "a1",
    "industry": "steel",
    "segment": "mid",
    "country": "DE",
    "region": "south",
    "employees": 40,
    "annual_revenue": 5e6,
}
LOG = [
    a_change("2026-01-01", "stage", "Qualify", "Demo", key="d0"),  # logged from January on, as is the call
    a_change("2026-01-11", "stage", "Qualify", "Demo"),
    a_change("2026-01-31", "stage", "Demo", "Quote"),
    a_change("2026-01-21", "amount", "1200", "900"),
    a_change("2026-01-01", "forecast_category", None, "pipeline", key="d0"),
    a_change("2026-01-15", "forecast_category", "pipeline", "commit"),
    a_change("2026-01-20", "owner_id", "r1", "r2"),
    a_change("2026-01-02", "close_date", "2026-03-31", "2026-04-20"),
]


def test_words_and_numbers_on_the_record_of_the_deal_and_its_customer():
    row = describe("deal", "2026-03-02", deals=[DEAL | {"owner_id": "r2"}], deal_changes=LOG, accounts=[ACCOUNT])
    wanted = {
        "stage": "Quote",
        "stage_index": 2,  # after Qualify and Demo
        "days_open": 60,  # 31 days of January, 28 of February, one of March
        "days_in_stage": 30,  # since 31 January
        "stages_a_month": 2 * 30 / 60,
        "amount": 900,
        "list_amount": 1200,
        "price_to_list": 0.75,
        "amount_to_first": 0.75,
        "close_date_days": 49,  # 29 days left of March, 20 of April
        "forecast_category": "commit",
        "kind": "expansion",
        "pipeline": "north",
        "product_id": "p7",
        "source": "fair",
        "owner_id": "r2",
        "referred": 1,
        "industry": "steel",
        "segment": "mid",
        "country": "DE",
        "region": "south",
        "employees": 40,
        "annual_revenue": 5_000_000,
    }
    assert {name: row[name] for name in wanted} == wanted


def test_what_changes_is_as_it_stood():
    wanted = {
        "2026-01-10 23:59:59.999999": ("Qualify", "pipeline", "r1", 1200),
        "2026-01-11": ("Demo", "pipeline", "r1", 1200),  # a change counts at its own moment
        "2026-01-15": ("Demo", "commit", "r1", 1200),
        "2026-01-20": ("Demo", "commit", "r2", 1200),
        "2026-01-21": ("Demo", "commit", "r2", 900),
    }
    names = ("stage", "forecast_category", "owner_id", "amount")
    deals = [DEAL | {"owner_id": "r2"}, a_deal("d0")]
    since = a_change("2026-01-01", "amount", "1", "2", key="d0")
    assert follow("deal", names, wanted, deals=deals, deal_changes=[since, *LOG]) == wanted


def test_a_deal_made_at_this_moment_has_no_age_and_no_speed_and_one_made_later_is_unknown():
    row = describe("deal", "2026-01-01", deals=[DEAL], deal_changes=LOG, accounts=[ACCOUNT])
    assert (row["days_open"], row["stages_a_month"], row["kind"], row["industry"]) == (0, None, "expansion", "steel")
    row = describe("deal", "2025-12-31 23:59:59.999999", deals=[DEAL], accounts=[ACCOUNT])
    assert [row[name] for name in ("days_open", "kind", "owner_id", "referred", "industry", "employees")] == [None] * 6


def test_nobody_referred_it_and_no_price_at_list():
    row = describe("deal", "2026-03-02", deals=[a_deal(amount=5.0)], deal_changes=LOG)
    assert (row["referred"], row["price_to_list"], row["list_amount"], row["country"]) == (0, None, None, None)
