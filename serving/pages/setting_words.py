"""Settings of the company in words: what each is called, and what it does."""

from __future__ import annotations

from serving.pages.help_text import Say


def meanings(say: Say) -> dict[str, tuple[str, str]]:
    """Name and meaning of settings in the visitor's language, by key; others come with the model's own words."""
    return {
        "name": (say("Name"), say("Stands on pages and reports.")),
        "base_currency": (say("Base currency"), say("Currency of all totals; models are trained on amounts in it.")),
        "time_zone": (say("Time zone"), say("Decides where days and periods begin and end.")),
        "stages": (say("Stages"), say("Open stages of each pipeline, first to last; empty: read from history.")),
        "features": (say("Own features"), say("Features of deals that the company added, by number.")),
        "write_back": (say("Written back"), say("Fields of a CRM's deals that forecasts are written into, by CRM.")),
        "sample": (say("Sample company"), say("Whether the data is made up; real data cannot be imported then.")),
        "fiscal.start_month": (say("First month"), say("First month of the fiscal year.")),
        "fiscal.named_by": (
            say("Named by"),
            say("Whether a fiscal year takes the calendar year of its first or its last day."),
        ),
        "fiscal.months": (
            say("Months"),
            say("calendar; or 445, 454, 544: weeks of the three months of each quarter."),
        ),
        "fiscal.week_ends_on": (say("Week ends on"), say("Last day of a week, where months are made of weeks.")),
        "fiscal.year_ends": (
            say("Year ends"),
            say(
                "Where months are made of weeks: whether a year ends on the last such day of its last month, or on "
                "the one nearest to that month's end."
            ),
        ),
        "win.horizon_weeks": (say("Horizon"), say("How far ahead a deal may be won, in weeks.")),
        "churn.horizon_days": (say("Horizon of leaving"), say("How far ahead leaving is forecast, in days.")),
        "churn.silent_days": (
            say("Silent days"),
            say("Without contracts: lost after so many days without an order; empty: by the customer's own rhythm."),
        ),
        "people.level": (
            say("Level"),
            say("off: no figures on persons; team: own figures and groups; person: managers see each person below."),
        ),
        "people.min_group": (say("Smallest group"), say("Below level person, figures of fewer people are withheld.")),
        "people.keep_months": (say("Kept for"), say("How long figures on persons are kept, in months.")),
        "people.purposes": (say("Purposes"), say("What figures on persons may be used for; set where that is agreed.")),
        "plan.workweek": (say("Working week"), say("Days that are worked, 1 for Monday to 7 for Sunday.")),
        "plan.holidays": (say("Days off"), say("Days off within the working week.")),
        "plan.extra_workdays": (say("Days worked"), say("Days worked outside the working week.")),
        "plan.no_target_roles": (say("Roles without a goal"), say("Who carries no goal of their own.")),
        "plan.risks.p_attain": (say("Goal in danger"), say("A company's or team's goal whose chance is below this.")),
        "plan.risks.p_attain_person": (say("Person's goal in danger"), say("The same of a person's goal.")),
        "plan.risks.coverage": (
            say("Cover of the goal"),
            say("What is left of a goal over what is expected to come, from this on."),
        ),
        "plan.risks.key_accounts": (
            say("Key customers"),
            say("How many of the largest customers are watched one by one."),
        ),
        "plan.risks.churn": (
            say("Customer leaving"),
            say("Chance that a key customer leaves; twice the usual is enough."),
        ),
        "plan.risks.overload": (say("Overload"), say("A person's open deals over the team's median.")),
        "plan.risks.concentration": (
            say("Concentration"),
            say("Share of the expected result in one deal or customer."),
        ),
        "plan.risks.stalled": (say("Standing still"), say("Share of the weighted pipeline in deals that stand still.")),
        "plan.risks.product_slump": (say("Product slump"), say("Chance that a product ends below its plan.")),
        "plan.risks.satisfaction": (
            say("Falling satisfaction"),
            say("By how much the mean grade of a customer's tickets fell."),
        ),
        "plan.risks.call_bias": (
            say("Biased calls"),
            say("Error of four calls running, all too high or all too low."),
        ),
        "plan.risks.foreign": (say("Other currencies"), say("Share of the open pipeline in other currencies.")),
        "plan.risks.overdue": (say("Overdue actions"), say("Overdue actions of a team's people.")),
        "plan.risks.approval_asked": (
            say("Approvals"),
            say("Own column of deals with the day an approval was asked for, empty once it is given."),
        ),
        "plan.risks.approval_days": (say("Days an approval waits"), say("Days that such an approval may wait.")),
        "plan.risks.discount_points": (say("Discounts"), say("Points by which the median discount rose.")),
        "plan.risks.contingency": (
            say("Plan starts"),
            say("Chance to reach a goal below which, twice running, a contingency plan starts."),
        ),
        "plan.risks.contingency_once": (say("Plan starts at once"), say("The same, where once is enough.")),
        "plan.risks.account_lost": (
            say("Plan for a customer"),
            say("Chance that a key customer leaves, from which a contingency plan starts."),
        ),
        "advice.hour_cost": (
            say("What an hour costs"),
            say("What an hour of a rep costs, in base currency; a step's expected value is less by it."),
        ),
        "advice.steps_a_day": (
            say("Next steps a day"),
            say("How many next steps a person is shown on Today."),
        ),
        "advice.actions": (
            say("Your own steps"),
            say("Next steps of your company beside the built-in ones, and how they show in the CRM's history."),
        ),
        "advice.hold_back": (
            say("Held back"),
            say("Share of suggestions held back at random to measure whether advice works; 0 switches that off."),
        ),
    }
