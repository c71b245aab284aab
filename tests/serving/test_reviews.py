"""Review meetings by API and page: planned, held, decided, carried over, written down, sent, in a calendar."""

import socket
from datetime import UTC, date, datetime

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message
from icalendar import Calendar

from serving.app import create_app
from serving.format import Formats
from serving.home import Home
from serving.i18n import language
from serving.jobs.worker import Worker
from serving.mail import Mail, MailFailed, NoMail
from serving.reviews.calendar import feed
from serving.reviews.meetings import Meetings, NoSuchReview, RenewFirst, ReviewClosed, ReviewThere
from serving.reviews.reminders import Sent, remind
from serving.settings import Settings
from serving.store import Store
from serving.tables.reviews import ReviewSeries
from serving.tokens import make_token
from serving.users import add_user, read_user
from tests.builders import a_rep, table_of
from tests.serving.asked import ask
from tests.serving.small_site import PASSWORD, fill, write_scores

NOW = datetime(2026, 5, 4, 9, tzinfo=UTC)


def a_meeting(meetings, series_id, day):
    return meetings.start(
        series_id, day=day, since=day, as_of=NOW, data_cut=1, forecast={"metric": "bookings"}, user_id=None, at=NOW
    )


@pytest.fixture
def meetings(store):
    return Meetings(store)


@pytest.fixture
def weekly(meetings):
    return meetings.plan("weekly", "west", weekday=1, begins="09:00", invited=["A@x.org"], user_id=None, at=NOW)


def test_an_action_comes_back_until_it_is_done_and_must_then_be_decided_anew(meetings, weekly):
    # Due on 8 May, meetings on 4, 11, 18 and 25 May: carried 0, 1, 2, 3 times; three times means to decide anew.
    first = a_meeting(meetings, weekly.series_id, date(2026, 5, 4))
    made = meetings.act(
        first.review_id, item="deals", subject="", text="Call", rep_id="r1", due=date(2026, 5, 8), user_id=None, at=NOW
    )
    seen = [meetings.actions()[0].carried]
    for day in (11, 18, 25):
        last = a_meeting(meetings, weekly.series_id, date(2026, 5, day))
        seen.append(meetings.open_actions(weekly.series_id, before=last.review_id)[0].carried)
    assert seen == [0, 1, 2, 3]
    with pytest.raises(RenewFirst, match="Call"):
        meetings.close(last.review_id, "text", NOW)
    meetings.set_action(made.action_id, due=date(2026, 6, 5), today=date(2026, 5, 25), at=NOW)
    assert meetings.close(last.review_id, "text", NOW).minutes == "text"


def test_minutes_change_no_more(meetings, weekly):
    review = a_meeting(meetings, weekly.series_id, date(2026, 5, 4))
    meetings.close(review.review_id, "as it was", NOW)
    for change in (
        lambda: meetings.close(review.review_id, "other", NOW),
        lambda: meetings.decide(review.review_id, "", "late", forecast=None, user_id=None, at=NOW),
    ):
        with pytest.raises(ReviewClosed):
            change()
    assert meetings.review(review.review_id).minutes == "as it was"


def test_a_day_has_one_meeting_of_a_series(meetings, weekly):
    a_meeting(meetings, weekly.series_id, date(2026, 5, 4))
    with pytest.raises(ReviewThere):
        a_meeting(meetings, weekly.series_id, date(2026, 5, 4))


def test_a_decision_can_be_taken_back_in_the_meeting_alone(meetings, weekly):
    review = a_meeting(meetings, weekly.series_id, date(2026, 5, 4))
    made = meetings.decide(review.review_id, "deals", "Lower", forecast={"p50": 1.0}, user_id=None, at=NOW)
    assert meetings.decisions(review.review_id)[0].forecast == {"p50": 1.0}
    with pytest.raises(NoSuchReview):
        meetings.take_back(review.review_id, made.decision_id + 1)
    meetings.take_back(review.review_id, made.decision_id)
    assert meetings.decisions(review.review_id) == []


def test_the_calendar_keeps_a_dates_name_and_tells_changes_by_its_sequence(home):
    company = home.company()
    series = ReviewSeries(
        series_id=7, rhythm="weekly", team_id="west", weekday=1, begins="09:30", minutes=45, sequence=0, changed_at=NOW
    )
    f = Formats(language("en"), "USD", company.zone, NOW)

    def events():
        made = feed(f, [(series, "West")], today=date(2026, 5, 4), company=company, address="http://x/reviews")
        return {str(e["uid"]): e for e in Calendar.from_ical(made).walk("VEVENT")}

    before = events()
    name = "review-7-2026-05-11@bellwether"
    assert before[name].decoded("dtstart") == datetime(2026, 5, 11, 9, 30, tzinfo=company.zone)
    assert str(before[name]["summary"]) == "Weekly review, West"
    series.begins, series.sequence = "11:00", 1
    after = events()
    assert after.keys() == before.keys()
    assert (int(before[name]["sequence"]), int(after[name]["sequence"])) == (0, 1)
    # A month back and half a year ahead of 4 May: Mondays from 6 April to 2 November.
    assert len(after) == 31


class Inbox(Message):
    def __init__(self):
        super().__init__()
        self.messages = []

    def handle_message(self, message):
        self.messages.append(message)


@pytest.fixture
def inbox():
    handler = Inbox()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        handler.port = free.getsockname()[1]
    server = Controller(handler, hostname="127.0.0.1", port=handler.port)
    server.start()
    yield handler
    server.stop()


def test_minutes_reach_the_mail_server_of_the_settings(inbox):
    given = Settings(mail_host="127.0.0.1", mail_port=inbox.port, mail_from="b@example.com", mail_security="none")
    Mail(given).send(["a@example.com", "c@example.com"], "会议纪要", "决定：降价\n")
    (message,) = inbox.messages
    assert message["to"] == "a@example.com, c@example.com"
    assert message.get_payload(decode=True).decode().splitlines() == ["决定：降价"]


def test_people_are_reminded_once_a_working_day_and_managers_of_what_is_stuck(store, meetings, weekly, home, inbox):
    for rep, email in (("r1", "r1@example.com"), ("m1", "m1@example.com"), ("r3", "r3@example.com")):
        add_user(store, email, PASSWORD, "rep", rep_id=rep)
    first = a_meeting(meetings, weekly.series_id, date(2026, 5, 4))
    for text, rep, due in (("Call Acme", "r1", date(2026, 5, 8)), ("Write the offer", "r1", date(2026, 5, 19)),
                           ("Visit", "r1", date(2026, 5, 20)), ("Later", "r3", date(2026, 6, 20))):  # fmt: skip
        meetings.act(first.review_id, item="", subject="", text=text, rep_id=rep, due=due, user_id=None, at=NOW)
    for day in (11, 18):  # Call Acme is carried over twice: r1's manager m1 is told
        a_meeting(meetings, weekly.series_id, date(2026, 5, day))
    mail = Mail(Settings(mail_host="127.0.0.1", mail_port=inbox.port, mail_from="b@x.org", mail_security="none"))
    view, company = home.lake.view(), home.company()

    def run(day, with_mail=mail):
        return remind(store, view, company, with_mail, datetime(2026, 5, day, 9, tzinfo=UTC))

    assert run(17) == Sent(0, [])  # a Sunday
    closed = Mail(Settings(mail_host="127.0.0.1", mail_port=9, mail_from="b@x.org", mail_security="none"))
    assert (run(18, closed).sent, len(run(18, closed).failed)) == (0, 2)
    assert run(18) == Sent(2, [])
    assert run(18) == Sent(0, [])  # once a day
    said = {message["to"]: message.get_payload(decode=True).decode() for message in inbox.messages}
    assert set(said) == {"r1@example.com", "m1@example.com"}
    # On Monday the 18th: overdue, and due by Tuesday; what is due on Wednesday is not in it.
    assert "- Call Acme: overdue since May 8" in said["r1@example.com"]
    assert "- Write the offer: due on May 19" in said["r1@example.com"]
    assert "Visit" not in said["r1@example.com"]
    assert "您的到期行动" in said["r1@example.com"]
    assert "- Call Acme, " in said["m1@example.com"]
    assert ": 2 times" in said["m1@example.com"]
    assert run(19).sent == 2


def test_the_worker_reminds_at_its_hour_once_a_day_and_tries_again_an_hour_after_a_failure(tmp_path, inbox):
    made = Home(tmp_path / "home")
    made.make()
    fill(made)
    given = {"home": made.root, "mail_host": "127.0.0.1", "mail_from": "b@x.org", "mail_security": "none"}
    store = Store(made.database_url)
    add_user(store, "r1@example.com", PASSWORD, "rep", rep_id="r1")
    meetings = Meetings(store)
    series = meetings.plan("weekly", "west", weekday=1, begins="09:00", invited=[], user_id=None, at=NOW)
    meeting = a_meeting(meetings, series.series_id, date(2026, 5, 4))
    meetings.act(meeting.review_id, item="", subject="", text="Call Acme", rep_id="r1", due=date(2026, 5, 8),
                 user_id=None, at=NOW)  # fmt: skip
    worker, dead = (Worker(Settings(**given, mail_port=port)) for port in (inbox.port, 9))
    company = made.company()

    def sent(by, day, hour, minute=0):
        by._remind(company, datetime(2026, 5, day, hour, minute, tzinfo=company.zone))
        return len(inbox.messages)

    assert sent(worker, 18, 8, 29) == 0  # a Monday, before 08:30
    assert sent(dead, 18, 8, 31) == 0
    assert dead._reminded is None  # so the day is not over for it
    dead._settings = worker._settings  # the server answers again
    assert sent(dead, 18, 8, 40) == 0  # but it waits an hour
    dead._remind_after = 0.0  # which is over
    assert sent(dead, 18, 9, 40) == 1
    assert sent(dead, 18, 11) == 1
    assert sent(worker, 18, 12) == 1  # another worker does not send it again
    assert sent(worker, 19, 8, 31) == 2
    assert {message["to"] for message in inbox.messages} == {"r1@example.com"}
    for one in (worker, dead, store):
        one.close()


def test_without_a_mail_server_the_mend_is_told():
    with pytest.raises(NoMail, match="BELLWETHER_MAIL_HOST"):
        Mail(Settings()).send(["a@example.com"], "s", "t")
    closed = Settings(mail_host="127.0.0.1", mail_port=9, mail_from="b@example.com", mail_security="none")
    with pytest.raises(MailFailed, match=r"127\.0\.0\.1:9"):
        Mail(closed).send(["a@example.com"], "s", "t")


def test_a_manager_holds_a_meeting_of_the_own_team(site):
    with site.client("m1@example.com") as client:
        assert client.post("/reviews/series", json={"team_id": "east"}).status_code == 404
        series = client.post("/reviews/series", json={"team_id": "west", "invited": ["a@x.org"]}).json()
        review = client.post("/reviews", json={"series_id": series["series_id"]}).json()
        # Every team ends at 50 of 100 in the middle.
        assert (review["forecast"]["p50"], review["forecast"]["target"]) == (50.0, 100.0)
        where = f"/reviews/{review['review_id']}"
        decision = client.post(f"{where}/decisions", json={"item": "deals", "text": "Lower the price"}).json()
        assert decision["forecast"]["p50"] == 50.0
        given = {"item": "deals", "text": "Call the customer", "rep_id": "r1", "due": "2099-01-01"}
        action = client.post(f"{where}/actions", json=given).json()
        assert client.post(f"{where}/actions", json=given | {"rep_id": "r3"}).status_code == 400
        assert client.post(f"{where}/send").status_code == 400  # not closed yet
        minutes = client.post(f"{where}/close").json()["minutes"]
        assert "Lower the price (forecast then: $50, 80% range $20–$90)" in minutes
        assert "Call the customer · r1, by Jan 1, 2099: open" in minutes
        assert client.post(f"{where}/send").status_code == 503  # no mail server is set
        assert client.post(f"{where}/decisions", json={"text": "Too late"}).status_code == 400
    with site.client("r3@example.com") as other:  # of East
        assert other.get(where).status_code == 404
        assert other.get("/reviews").json() == {"reviews": []}
        assert other.patch(f"/reviews/actions/{action['action_id']}", json={"state": "done"}).status_code == 404
    with site.client("r1@example.com") as owner:  # sees the own action, not the meeting
        assert [a["text"] for a in owner.get("/reviews/actions").json()["actions"]] == ["Call the customer"]
        assert owner.get(where).status_code == 404
        done = owner.patch(f"/reviews/actions/{action['action_id']}", json={"state": "done"})
        assert done.json()["state"] == "done"


def test_a_meeting_opens_where_people_have_left_and_those_get_no_action(tmp_path):
    home = Home(tmp_path / "home")
    home.make()
    fill(home)
    gone = [a_rep("r2", team_id="west", left_on="2026-02-16"), a_rep("r1", team_id="west", left_on="2099-01-01")]
    home.lake.merge({"reps": table_of("reps", gone)}, source="test")
    write_scores(home)
    meta = home.scores / "first" / "meta.json"
    meta.write_text(meta.read_text("utf-8").replace('"data_cut": 1', '"data_cut": 2'), encoding="utf-8")
    store = Store(home.database_url)
    number = add_user(store, "head@example.com", None, "manager", rep_id="head")
    token = make_token(store, read_user(store, number), "t", ["read", "write"], days=1)[1]
    app = create_app(Settings(home=home.root))

    def call(method, path, accept="application/json", **given):
        headers = {"authorization": f"Bearer {token}", "accept": accept}
        return ask(app, path, method=method, headers=headers, **given)

    series = call("POST", "/api/v1/reviews/series", json={"team_id": "west"}).json()["series_id"]
    review = call("POST", "/api/v1/reviews", json={"series_id": series}).json()["review_id"]
    page = call("GET", f"/reviews/{review}", accept="text/html")
    assert page.status_code == 200
    # r2 left in February; r1 leaves one day, and is there until then.
    assert 'value="r1"' in page.text
    assert 'value="r2"' not in page.text
    given = {"text": "Call", "rep_id": "r2", "due": "2099-01-01"}
    assert call("POST", f"/api/v1/reviews/{review}/actions", json=given).status_code == 400
    app.state.server.store.close()
    store.close()


def test_the_pack_comes_as_json_and_as_files(site):
    with site.client("m1@example.com") as client:
        pack = client.get("/reviews/pack", params={"team_id": "west", "language": "zh"}).json()
        assert "deals" in [section["key"] for section in pack["sections"]]
        kinds = {"html": "text/html", "pdf": "application/pdf", "xlsx": "application/vnd.openxml"}
        for form, kind in kinds.items():
            answer = client.get("/reviews/pack", params={"team_id": "west", "format": form})
            assert answer.headers["content-type"].startswith(kind)
        assert client.get("/reviews/pack", params={"team_id": "east"}).status_code == 404
        assert client.get("/reviews/pack").status_code == 404  # the whole company is not hers to see


def test_the_feed_opens_by_its_token_alone_until_that_is_revoked(site):
    with site.client("head@example.com") as client:
        client.post("/reviews/series", json={"team_id": "all", "period": "monthly", "weekday": 2})
        made = client.post("/reviews/feed/tokens").json()
        address = "/reviews/calendar.ics?" + made["address"].split("?")[1]
        token = made["address"].split("token=")[1]
    with site.client() as nobody:
        answer = nobody.get(address)
        assert answer.headers["content-type"].startswith("text/calendar")
        names = {str(e["summary"]) for e in Calendar.from_ical(answer.text).walk("VEVENT")}
        assert "Monthly review, All" in names
        # The same token opens nothing else.
        assert nobody.get("/deals", headers={"authorization": f"Bearer {token}"}).status_code == 403
        assert nobody.get("/reviews/calendar.ics?token=bw_wrong").status_code == 401
    with site.client("head@example.com") as client:
        client.delete(f"/tokens/{made['token_id']}")
    with site.client() as nobody:
        assert nobody.get(address).status_code == 401


def test_a_manager_walks_through_the_page(site):
    import httpx

    with httpx.Client(base_url=site.address, timeout=60, follow_redirects=True) as browser:
        browser.headers["origin"] = site.address
        browser.post("/sign-in", data={"email": "head@example.com", "password": PASSWORD, "next": "/reviews"})
        assert "Plan a review" in browser.get("/reviews").text
        given = {"rhythm": "weekly", "team_id": "all", "weekday": "1", "begins": "09:00", "invited": "a@x.org, b@x.org"}
        page = browser.post("/reviews/series", data=given).text
        assert "Weekly review, All" in page
        number = page.split("/start")[-2].rsplit("/", 1)[-1] if "/start" in page else ""
        meeting = browser.post(f"/reviews/series/{number}/start")
        where = meeting.url.path
        assert "Deals to talk about" in meeting.text
        browser.post(f"{where}/decisions", data={"text": "Visit d5", "item": "deals"})
        page = browser.post(
            f"{where}/actions", data={"text": "Visit", "rep_id": "r1", "due": "2099-02-03", "item": "deals"}
        ).text
        assert "Visit d5" in page
        assert "by Feb 3, 2099" in page
        closed = browser.post(f"{where}/close").text
        assert "The minutes are written" in closed
        assert "Visit d5" in browser.get(f"{where}/minutes.txt").text
        assert browser.get("/reviews/pack.pdf?period=weekly&team=all").content.startswith(b"%PDF")
        browser.cookies.set("bellwether_language", "zh")
        assert "复盘会" in browser.get("/reviews").text
