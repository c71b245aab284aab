"""Reports as pages: each opens in both languages, says its finding, and gives its tables as files."""

import io
import re
from html import unescape

import openpyxl
import pytest

from planning.reports import REPORTS
from tests.serving.pages.test_pages import text_of


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("code", ["en", "zh"])
def test_every_report_opens(site, name, code):
    with site.client(cookies={"bellwether_language": code}) as client:
        answer = client.get(f"/plan/reports/{name}?period=last-quarter")
    assert answer.status_code == 200
    assert "{" not in text_of(answer.text)
    assert ("上季度" in answer.text) == (code == "zh")
    assert len(answer.content) < 250_000


def test_tables_lead_to_files_of_the_same_part(site):
    with site.client() as client:
        page = client.get("/plan/reports/mix?period=last-quarter").text
        address = unescape(re.search(r'/api/v1/reports/([^"]+format=xlsx)', page)[1])
        book = openpyxl.load_workbook(io.BytesIO(client.get(f"/api/v1/reports/{address}").content), read_only=True)
    assert "period=last-quarter" in address
    assert book.sheetnames == ["products", "families", "regions", "customer_segments", "kinds"]


def test_parts_of_velocity_that_are_money_carry_the_currency(site):
    with site.client() as client:
        page = client.get("/plan/reports/velocity?period=last-quarter").text
    rows = dict(re.findall(r'<th scope="row">([^<]+)</th><td class="num">([^<]+)</td>', page.rpartition("<tbody>")[2]))
    money = {name for name, now in rows.items() if re.fullmatch(r"[^0-9−]+[0-9,]+", now)}
    assert money == {"Mean won amount", "Money a day"}
    assert len(rows) == 5


def test_a_report_that_is_not_there_says_so(site):
    with site.client() as client:
        assert client.get("/plan/reports/weather").status_code == 404
        assert client.get("/plan/reports/trend?period=fortnight").status_code == 400
        assert client.get("/plan/reports/trend?team=nowhere").status_code == 404
