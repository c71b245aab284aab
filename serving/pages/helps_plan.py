"""The help behind figures of the sales plan: goals, pace, reviews, risks, what was changed; and of one's own data."""

from __future__ import annotations

from collections.abc import Callable

from serving.pages.help_text import Help, Say

PLAN_HELPS: dict[str, Callable[[Say], Help]] = {
    "goals": lambda say: Help(
        say("Each goal with what is reached so far and how likely it is to be reached."),
        say(
            "Of goal is what is reached as a share of it. The chance is the share of the forecast's draws that end at "
            "the goal or above; a dash stands where no forecast is made of what is counted."
        ),
        say("Goals set here or in the CRM, the records that count for them, and the newest forecasts."),
    ),
    "goal_now": lambda say: Help(
        say("How far this goal is reached today, and how likely it is to be reached in time."),
        say(
            "What counts is summed from its first day on; the chance is the share of the forecast's draws at the goal."
        ),
        say("The records that count for this goal, and the newest forecasts."),
    ),
    "goal_check": lambda say: Help(
        say("Whether the goal is specific, measurable, achievable, relevant and time-bound."),
        say(
            "Rules read the goal itself, its dates and what stands above it; achievable asks the forecast for the "
            "chance, or past results where there is none."
        ),
        say("This goal and those above and below it, past results, and the newest forecasts."),
    ),
    "split": lambda say: Help(
        say("What each team and person would carry under this split, before anything is kept."),
        say(
            "The goal times each one's share of the weights; numbers fixed by hand stand first and the rest is shared "
            "out. Expected to reach is the average forecast as a share of the new goal."
        ),
        say("Goals, past results, capacity and open deals of these people, and the newest forecasts."),
    ),
    "needs": lambda say: Help(
        say("How many deals and contacts would close the gap to the goal."),
        say(
            "What open deals do not cover, over the mean amount of a won deal, then back through the share of deals "
            "won and the contacts that one takes."
        ),
        say("Closed deals and activities of the last year."),
    ),
    "pace_rows": lambda say: Help(
        say("Where each goal under this one stands against where it should be today."),
        say("Due by now is the goal's share that past years had reached by this day; the gap is reached less due."),
        say("Goals, and the records that count for them, of this and earlier years."),
    ),
    "review": lambda say: Help(
        say("What the meeting talks about under this heading."),
        say("Counted and compared as of the moment in the top bar, beside what stood at the last meeting."),
        say("Goals, forecasts as they were issued, deals with their log, and the register of risks."),
    ),
    "risk_rows": lambda say: Help(
        say("Each risk with its chance, the money at stake, and who looks after it."),
        say(
            "The chance is the forecast's, or how often it happened before. Expected loss is the chance times the "
            "money: high from 5% of what the goal still asks for, medium from 1%."
        ),
        say("Goals, forecasts of deals, people and customers as of the moment in the top bar."),
    ),
    "risk_now": lambda say: Help(
        say("How likely this is, what it would cost, and what is done about it."),
        say("The chance is the forecast's, or how often it happened before; expected loss is chance times money."),
        say("The figures that the link above leads to, and what people noted here."),
    ),
    "plan_steps": lambda say: Help(
        say("What is to be done, by whom and by when."),
        say("Steps come from the plan of this kind of risk; days count from the start, on working days."),
        say("The company's plans for risks, and the people of the team."),
    ),
    "plan_lists": lambda say: Help(
        say("Deals, customers or people that the plan names, the most useful first."),
        say("Chosen from the forecasts at the moment the plan was filled; ranges hold 80% of the draws."),
        say("Open deals, customers and people as of that moment, and the newest forecasts."),
    ),
    "record": lambda say: Help(
        say("What the last quarter was meant to bring, what it brought, and the quarter before."),
        say("Counted from the records, nothing is estimated; reached is the result as a share of the target."),
        say("Goals as they stood in that quarter, closed deals, activities and customers."),
    ),
    "changes": lambda say: Help(
        say("What was decided, what the forecast was at that hour, and what came."),
        say("Forecast and result stand side by side; what a decision did by itself cannot be told from one quarter."),
        say("Decisions of review meetings, the ledger of forecasts, and closed deals."),
    ),
    "rivals": lambda say: Help(
        say("What customers said, the share of the market, and deals won and lost against each competitor."),
        say("Averages and counts; the range of a win rate is wide where few deals ended."),
        say("Surveys, market sizes, and closed deals that name a competitor."),
    ),
    "levers": lambda say: Help(
        say("What each change would bring in this period, the largest gain first."),
        say("The period is drawn again with the change and the same luck, so the difference is the change's alone."),
        say("The newest forecasts; effects are measured, or assumptions that are named as such."),
    ),
    "try": lambda say: Help(
        say("The period with and without one change."),
        say("Both are drawn with the same luck; better in is the share of draws in which the change helps."),
        say("The newest forecasts and what is typed in below."),
    ),
    "known": lambda say: Help(
        say("Figures about you that models read, as they are today."),
        say("Each is counted from the records by a definition of its own; the column at the end names the tables."),
        say("Records of the CRM that name you."),
    ),
}
