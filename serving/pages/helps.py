"""What stands behind the '?' beside each figure: what it is, how it is computed, from which data."""

from __future__ import annotations

from collections.abc import Callable

from serving.i18n import Language
from serving.pages.help_text import Help, Say
from serving.pages.helps_plan import PLAN_HELPS


def help_of(key: str, language: Language) -> Help:
    """The help of a figure; an unknown key is a KeyError, which a page's first opening shows."""
    return HELPS[key](language.say)


HELPS: dict[str, Callable[[Say], Help]] = {
    "fan": lambda say: Help(
        say("What is closed so far, and the range in which the period will end."),
        say(
            "Closed, open deals and deals not yet created are drawn many times together; the range holds 80% of the "
            "draws, the line is their middle. The dotted line goes on at today's pace: the plain forecast to beat."
        ),
        say("Deals, their log and activities, goals; as of the moment in the top bar."),
    ),
    "parts": lambda say: Help(
        say("The expected total in three parts: closed, from open deals, from deals not yet created."),
        say(
            "Open deals count with their chance to be won in the period times their amount when won; deals not yet "
            "created by how many came and closed in time in the past. This is the average of the draws, "
            "not their middle."
        ),
        say("Deals, their log and activities, goals; as of the moment in the top bar."),
    ),
    "calls": lambda say: Help(
        say("What people themselves say where the period will end: a commit and a best case."),
        say("Typed in here, kept with their history; nothing is computed. The last word of each person stands."),
        say("Calls made on these pages or by the API."),
    ),
    "reasons_money": lambda say: Help(
        say("What a person's expected total is made of, deal by deal."),
        say("Each deal's chance to be won in the period times its amount when won; the parts add up to the total."),
        say("The person's closed and open deals, and past deals that came late and still closed."),
    ),
    "outcomes": lambda say: Help(
        say("Each team or person: goal, closed so far, and the range in which the period will end."),
        say(
            "From the same draws as the total above, so that draws add up; "
            "the chance is the share of draws at the goal."
        ),
        say("Deals, their splits and goals of the people below."),
    ),
    "period_deals": lambda say: Help(
        say("Open deals by what they bring in this period, and whether they are won, lost or slip past it."),
        say("Expected is the chance to be won in the period times the amount when won."),
        say("Open deals of this person with their log and activities."),
    ),
    "moves": lambda say: Help(
        say("Why the expected total is not what it was about a week ago, in steps that add up."),
        say(
            "Each deal goes to one cause: won, lost, slipped (its planned date was moved later), amount changed, new, "
            "changed hands, or rated anew. What no single deal stands for is named as such."
        ),
        say("The forecast kept in the ledger at that time, today's scores, and the deals' log in between."),
    ),
    "math_open": lambda say: Help(
        say("Each open deal's part of the forecast, so that you can check it by hand."),
        say("Chance to be won before the period ends × amount when won × the part credited here."),
        say("The newest scores; credit by the deals' splits, else all to the owner."),
    ),
    "math_closed": lambda say: Help(
        say("Deals won in this period with the amount credited here."),
        say("Amounts at the exchange rate of the day on which they were won."),
        say("Won deals and their splits; leads are no sales."),
    ),
    "leads": lambda say: Help(
        say("Open leads, the ones worth most first."),
        say(
            "Chance to convert by the win model, times what converted leads of the same segment brought on average. "
            "Due is the planned date in the CRM, else when the model expects the conversion."
        ),
        say("Open and past leads, their activities, and the sales opened within 30 days after a conversion."),
    ),
    "alike": lambda say: Help(
        say("Customers that never had a deal, ranked by how like those are whose first deal was won."),
        say(
            "A plain model of segment, industry, place and size; it is tried on past dates, "
            "and where it is not clearly better than the base rate nobody is ranked."
        ),
        say("Customers as they were recorded, and first deals that ended."),
    ),
    "deals": lambda say: Help(
        say("The open deals with the chance of each to be won, its range, and what is expected of it."),
        say(
            "The win model rates each deal; expected is the chance times the amount when won. The reason named is the "
            "one that moves the chance most; the step is the first suggestion."
        ),
        say("Open deals with their log, activities, contacts and customer."),
    ),
    "board": lambda say: Help(
        say("The open deals by stage, in the company's order of stages."),
        say("Sums of amounts and of what is expected; in each column the deals come in the order of the list."),
        say("Open deals at their stage in the CRM, and the newest scores."),
    ),
    "steps": lambda say: Help(
        say("What may help this deal most now, with the change of its chance to be won."),
        say(
            "The chance with this step within 7 days, less the chance without one. The badge says what that rests on: "
            "association, an adjusted estimate, or a measured effect."
        ),
        say("Past deals with and without such steps, and suggestions held back at random where that is on."),
    ),
    "win_curve": lambda say: Help(
        say("The chance that the deal is won, and that it is lost, by each date."),
        say("By the win model from how deals that looked like this went week by week."),
        say("The deal's log, activities, contacts and customer; past deals."),
    ),
    "reasons": lambda say: Help(
        say("What moves the chance from where the model starts to where it is; the parts add up."),
        say("Each part is how much the chance changes by knowing this, averaged over all orders of knowing (SHAP)."),
        say("What the model was told of it at the moment in the top bar."),
    ),
    "what_if": lambda say: Help(
        say("What the model would say if the date, the amount or the meetings were others."),
        say("The change is written into a copy of the deal's log as if it came now, and rated anew; nothing is kept."),
        say("This deal's rows and the model in use."),
    ),
    "score_history": lambda say: Help(
        say("How the chance went, and what happened between two forecasts."),
        say("Each dot is a forecast as it was issued; rings were reconstructed from what was known then."),
        say("The ledger of forecasts, and the deal's log and activities."),
    ),
    "similar": lambda say: Help(
        say("Won deals that are most like this one."),
        say("Most traits the same of kind, product, segment and source; then the nearest amount. No model is asked."),
        say("Won deals that you may open."),
    ),
    "facts": lambda say: Help(
        say("What the CRM says, and what is expected."),
        say("Copied from the CRM; amounts in the base currency at today's rate. Chances are the win model's."),
        say("The record as of the moment in the top bar, and the newest scores."),
    ),
    "timeline": lambda say: Help(
        say("What happened, newest first."),
        say("Nothing is computed; what is older folds away."),
        say("Activities and changes as the CRM recorded them."),
    ),
    "best_steps": lambda say: Help(
        say("The suggestions that bring most, of all deals that you see."),
        say(
            "The change of the chance to be won by the step, times the deal's amount; the "
            "first suggestion of each deal."
        ),
        say("Open deals and the suggestions of the newest scoring."),
    ),
    "waits": lambda say: Help(
        say("What someone should look at: dates that passed, silent deals, customers who may leave."),
        say("Counted by rules: planned date before today, no contact for 14 days, chance to leave of 20% and more."),
        say("Open deals, their contacts, and the churn scores."),
    ),
    "happened": lambda say: Help(
        say("What the last days brought, the largest deals first."),
        say("Only the net change of each field counts; nothing is estimated."),
        say("The deals' log; deals of those whom you see."),
    ),
    "coaching": lambda say: Help(
        say("How a person's deals of the last year went, beside what colleagues reach on deals like them."),
        say(
            "Like deals have the same kind, customer segment, size and product; the person's own are left out. "
            "A gap is drawn towards none by as much as its doubt asks for, and a strength is named where "
            "its 90% range lies on the better side."
        ),
        say("Closed deals with their log, people met in calls and meetings, messages and answers of the last year."),
    ),
    "coaching_themes": lambda say: Help(
        say("Habits whose gap to colleagues lies wholly on the worse side; at most three, the clearest first."),
        say("As for strengths. What may help is a word to talk about: nobody has measured that it does."),
        say("The same deals as strengths. Age, absence and the like are not in it."),
    ),
    "coaching_since": lambda say: Help(
        say("Themes as they were found from what was known three months ago, and the same habit on deals since."),
        say(
            "The gap of then is taken drawn towards none, so that falling back to normal is no improvement; better or "
            "worse is said only where the 90% range of the change is."
        ),
        say("Deals as known then, and what closed, came or was answered since."),
    ),
    "people": lambda say: Help(
        say("How each person stands in this period, and the week against the person's own usual."),
        say("Pace is what is closed against the share of the goal that the days gone ask for."),
        say("Closed deals with splits, goals, activities of the last thirteen weeks."),
    ),
    "at_risk": lambda say: Help(
        say("Each customer's chance to leave against its yearly value."),
        say("The churn model's chance; value at risk is that chance times the yearly value."),
        say("Orders, subscriptions, tickets and contact of each customer."),
    ),
    "segments": lambda say: Help(
        say("Where the value at risk lies, by segment."),
        say("Mean chance to leave, and the sum of the customers' values at risk."),
        say("Orders, subscriptions, tickets and contact of each customer."),
    ),
    "accounts": lambda say: Help(
        say("The customers with most at stake first."),
        say("Chance to leave by the churn model, times the yearly value; the reason named moves the chance most."),
        say("Orders, subscriptions, tickets and contact of each customer."),
    ),
    "reasons_churn": lambda say: Help(
        say("What moves the chance to leave from where the model starts to where it is; the parts add up."),
        say("Each part is how much the chance changes by knowing this, averaged over all orders of knowing (SHAP)."),
        say("What the model was told of it at the moment in the top bar."),
    ),
    "save_plays": lambda say: Help(
        say("At most three steps that may keep the customer, those first whose signs raise the chance to leave most."),
        say(
            "Each step stands for some signs of the churn model, such as open tickets or late orders. The points are "
            "how much higher the chance is with them; times the yearly value, that is the money. Not a measured effect."
        ),
        say("The reasons of the chance to leave, and people at the customer by rank and last contact."),
    ),
    "account_facts": lambda say: Help(
        say("What the CRM says of the customer, and what is at risk."),
        say(
            "Copied from the CRM; the chance to leave is the churn model's, times the yearly "
            "value it is the value at risk."
        ),
        say("The record as of the moment in the top bar, and the newest scores."),
    ),
    "track_record": lambda say: Help(
        say("Forecasts of periods that are over against what came."),
        say("The bar is the 80% range as it was given, the dot its middle, the dark mark the result."),
        say("The ledger of forecasts, sealed when they were made, and closed deals."),
    ),
    "calibration": lambda say: Help(
        say("Whether chances mean what they say: of deals given 30%, about 30% should be won."),
        say("Forecasts are grouped by what was said; the bars show where 90% of results would lie if it were exact."),
        say("The ledger of forecasts, and what came of these deals."),
    ),
    "measures": lambda say: Help(
        say("How good the forecasts were, each measure beside something plain to beat."),
        say(
            "The base rate or today's pace was known at the same moment; ranges come from resampling deals or periods."
        ),
        say("The ledger of forecasts, and what came."),
    ),
    "callers": lambda say: Help(
        say("Whose commits came nearest: people, the model, or the pace."),
        say("What stood at one and two thirds of a period that is over, against the result."),
        say("Calls made on these pages or by the API, and the ledger of forecasts."),
    ),
    "effects": lambda say: Help(
        say("What each action seems to do to the share won, and what that rests on."),
        say(
            "Deals with and without the action are compared at like odds and like conduct "
            "(cross-fitted, doubly robust); "
            "the range has an allowance for what is not recorded."
        ),
        say("Past deals with their activities; suggestions held back at random where that is on."),
    ),
    "models": lambda say: Help(
        say("Each version of a model, and whether it may be put in use."),
        say(
            "A new version must beat the one in use on deals that neither had seen; the gate "
            "writes down why or why not."
        ),
        say("Runs logged in MLflow, tried on past dates."),
    ),
    "retrain": lambda say: Help(
        say("What is watched of each model in use, and whether it calls for a new training."),
        say(
            "Age of its data, results that came since, whether its inputs and the calibration of its forecasts drift "
            "(population stability index, CUSUM), each against a limit of the policy."
        ),
        say("The newest data beside what the model learnt from, and issued forecasts with what came."),
    ),
    "jobs": lambda say: Help(
        say("Long work that was asked for: imports, syncs, training, scores, write-back; the newest first."),
        say(
            "One of a kind runs at a time. One that is cancelled or ends by a fault leaves things as they were before."
        ),
        say("The queue of this installation."),
    ),
    "sources": lambda say: Help(
        say("The tables that there are, with their rows and newest moment."),
        say("Counted in the newest data cut."),
        say("The lake, as the last import or sync left it."),
    ),
    "reports": lambda say: Help(
        say("What the title says, over the period and the part of the company that are chosen above."),
        say("Counted and summed from the records; ranges stand where shares come from few of them."),
        say("Deals with their log, orders, and the newest forecasts where one is named."),
    ),
    "pace": lambda say: Help(
        say("Where the period stands against where it should be today."),
        say("Closed so far against the goal's share that past years had reached by this day."),
        say("Closed deals of this and earlier years, and the goal."),
    ),
    "risks": lambda say: Help(
        say("Each open risk by its chance and the money at stake."),
        say("The chance comes from the newest forecasts; expected loss is the chance times the money."),
        say("Goals, forecasts of deals, people and customers as of the moment in the top bar."),
    ),
    **PLAN_HELPS,
}
