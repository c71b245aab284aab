"""Features of deals as good analysts write them by hand: pandas, Polars, DuckDB; each reads the files itself."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from tests.bench.big_company import STAGES

COUNTS = {  # name: (condition, days); a mail to a customer counts once it is known, for so many days
    "touches": ("contact", None),
    "touches_7d": ("contact", 7),
    "touches_30d": ("contact", 30),
    "emails_in_30d": ("mail_in", 30),
    "emails_out_30d": ("mail_out", 30),
    "inbound_7d": ("inbound", 7),
    "calls_30d": ("call", 30),
    "meetings_30d": ("meeting", 30),
    "notes_30d": ("note", 30),
    "demos": ("demo", None),
    "proposals": ("proposal", None),
}
MOVES = {"stages_passed": "forward", "steps_back": "backward", "close_date_pushes": "pushed"}
AGES = {"days_silent": "contact", "days_since_inbound": "inbound", "days_since_push": "pushed"}
WANTED = [*COUNTS, "reply_ratio", *MOVES, *AGES, "days_since_change", "amount", "stage_index"]
Files = dict[str, list[str]]
_FLAGS = ["contact", "mail_in", "mail_out", "inbound", "outbound", "call", "meeting", "note", "demo", "proposal"]


def by_pandas(files: Files, spine: pd.DataFrame) -> pd.DataFrame:
    """`merge_asof` over running counts, keys as numbers."""
    read = {name: pd.concat([pd.read_parquet(f) for f in paths]) for name, paths in files.items()}
    deals = pd.Index(read["deals"]["deal_id"])
    asked = pd.DataFrame({"deal": deals.get_indexer(spine["deal_id"]), "at": spine["as_of"]}).reset_index(names="row")
    asked = asked.sort_values("at")
    acts = _known(read["activities"], "occurred_at", deals)
    kind, way = acts["kind"], acts["direction"]
    flags = {
        "contact": ~kind.isin(["note", "task"]),
        "mail_in": (kind == "email") & (way == "in"),
        "mail_out": (kind == "email") & (way == "out"),
        "inbound": way == "in",
        "outbound": way == "out",
        "call": kind == "call",
        "meeting": kind.isin(["meeting", "visit"]),
        "note": kind.isin(["note", "task"]),
        "demo": kind == "demo",
        "proposal": kind == "proposal",
    }
    running = _running(acts, flags, ["contact", "inbound"])
    now = {days: _looked_up(asked, running, days) for days in (0, 7, 30)}
    out: dict[str, object] = {}
    for name, (flag, days) in COUNTS.items():
        before = 0.0 if days is None else now[days][flag].fillna(0)
        out[name] = now[0][flag].fillna(0) - before
    out["reply_ratio"] = now[0]["inbound"] / now[0]["outbound"].replace(0, np.nan)
    moves = _known(read["deal_changes"], "changed_at", deals)
    field, old, new = moves["field"], moves["old_value"], moves["new_value"]
    places = {stage: float(i) for i, stage in enumerate(STAGES)}
    step = new.map(places) - old.map(places)
    dated = field == "close_date"
    later = pd.to_datetime(new.where(dated)) > pd.to_datetime(old.where(dated))
    stage = field == "stage"
    parts = {"forward": stage & (step > 0), "backward": stage & (step < 0), "pushed": later, "any": field.notna()}
    passed = _looked_up(asked, _running(moves, parts, ["pushed", "any"]), 0)
    for name, flag in MOVES.items():
        out[name] = passed[flag].fillna(0)
    at = asked["at"].reset_index(drop=True)
    for name, flag in AGES.items():
        since = passed if flag == "pushed" else now[0]
        out[name] = (at - since[f"last_{flag}"]).dt.total_seconds() / 86_400
    out["days_since_change"] = (at - passed["last_any"]).dt.total_seconds() / 86_400
    for name, which, to in (
        ("amount", "amount", lambda values: values.astype(float)),
        ("stage_index", "stage", lambda values: values.map(places)),
    ):
        log = moves[field == which]
        held = pd.merge_asof(asked, log[["known", "deal", "new_value"]], left_on="at", right_on="known", by="deal")
        first = log.drop_duplicates("deal").set_index("deal")["old_value"]
        out[name] = to(held["new_value"].fillna(held["deal"].map(first)))
    table = pd.DataFrame(out)[WANTED]
    return table.set_index(asked["row"].to_numpy()).sort_index()


def _known(events: pd.DataFrame, clock: str, deals: pd.Index) -> pd.DataFrame:
    events = events.assign(known=events["recorded_at"].fillna(events[clock]), deal=deals.get_indexer(events["deal_id"]))
    return events.sort_values(["known", "_seq"])


def _running(events: pd.DataFrame, flags: dict[str, pd.Series], aged: list[str]) -> pd.DataFrame:
    counts = pd.DataFrame({name: flag.astype(np.int32) for name, flag in flags.items()})
    running = counts.groupby(events["deal"]).cumsum()
    for name in aged:
        running[f"last_{name}"] = events["known"].where(flags[name]).groupby(events["deal"]).ffill()
    return running.assign(known=events["known"], deal=events["deal"])


def _looked_up(asked: pd.DataFrame, running: pd.DataFrame, days: int) -> pd.DataFrame:
    wanted = asked.assign(at=asked["at"] - pd.Timedelta(days=days))
    return pd.merge_asof(wanted, running, left_on="at", right_on="known", by="deal")


def by_polars(files: Files, spine: pd.DataFrame) -> pd.DataFrame:
    """`join_asof` over running counts."""
    asked = pl.DataFrame({"deal_id": spine["deal_id"].to_numpy(), "at": spine["as_of"].dt.tz_convert(None).to_numpy()})
    asked = asked.with_columns(pl.col("at").dt.cast_time_unit("us").dt.replace_time_zone("UTC")).with_row_index("row")
    asked = asked.sort("at")
    kind, way = pl.col("kind"), pl.col("direction")
    flags = {
        "contact": ~kind.is_in(["note", "task"]),
        "mail_in": (kind == "email") & (way == "in"),
        "mail_out": (kind == "email") & (way == "out"),
        "inbound": way == "in",
        "outbound": way == "out",
        "call": kind == "call",
        "meeting": kind.is_in(["meeting", "visit"]),
        "note": kind.is_in(["note", "task"]),
        "demo": kind == "demo",
        "proposal": kind == "proposal",
    }
    acts = _polars_running(files["activities"], "occurred_at", flags, ["contact", "inbound"])
    old, new = pl.col("old_value"), pl.col("new_value")
    places = {stage: float(i) for i, stage in enumerate(STAGES)}
    step = new.replace_strict(places, default=None) - old.replace_strict(places, default=None)
    staged, dated = pl.col("field") == "stage", pl.col("field") == "close_date"
    parts = {
        "forward": staged & (step > 0).fill_null(False),
        "backward": staged & (step < 0).fill_null(False),
        "pushed": dated & (new.str.to_date(strict=False) > old.str.to_date(strict=False)).fill_null(False),
        "any": pl.lit(True),
    }
    moves = _polars_running(files["deal_changes"], "changed_at", parts, ["pushed", "any"])
    table = asked
    for days in (0, 7, 30):
        table = _polars_looked_up(table, acts, days, f"_{days}")
    table = _polars_looked_up(table, moves, 0, "_m")
    log = pl.concat([pl.read_parquet(f) for f in files["deal_changes"]])
    log = log.with_columns(known=pl.coalesce("recorded_at", "changed_at")).sort("known", "_seq")
    for name in ("amount", "stage"):
        one = log.filter(pl.col("field") == name).select("deal_id", "known", pl.col("new_value").alias(name))
        table = table.join_asof(one, left_on="at", right_on="known", by="deal_id", check_sortedness=False)
        first = log.filter(pl.col("field") == name).group_by("deal_id").agg(pl.col("old_value").first().alias("first"))
        table = table.join(first, on="deal_id", how="left", maintain_order="left")
        table = table.with_columns(pl.coalesce(name, "first").alias(name)).drop("first", "known")

    def since(last: str) -> pl.Expr:
        return (pl.col("at") - pl.col(last)).dt.total_microseconds() / 86_400e6

    out = [
        (pl.col(f"{f}_0").fill_null(0) - (0 if d is None else pl.col(f"{f}_{d}").fill_null(0))).alias(n)
        for n, (f, d) in COUNTS.items()
    ]
    out.append((pl.col("inbound_0") / pl.when(pl.col("outbound_0") > 0).then("outbound_0")).alias("reply_ratio"))
    out += [pl.col(f"{f}_m").fill_null(0).alias(n) for n, f in MOVES.items()]
    out += [since(f"last_{f}{'_m' if f == 'pushed' else '_0'}").alias(n) for n, f in AGES.items()]
    out.append(since("last_any_m").alias("days_since_change"))
    out.append(pl.col("amount").cast(pl.Float64))
    out.append(pl.col("stage").replace_strict(places, default=None).alias("stage_index"))
    return table.select("row", *out).sort("row").drop("row").to_pandas()[WANTED]


def _polars_running(files: list[str], clock: str, flags: dict[str, pl.Expr], aged: list[str]) -> pl.DataFrame:
    events = pl.concat([pl.read_parquet(f) for f in files])
    events = events.with_columns(known=pl.coalesce("recorded_at", clock)).sort("known", "_seq")
    last = [pl.when(flags[a]).then("known").forward_fill().over("deal_id").alias(f"last_{a}") for a in aged]
    return events.select(
        "deal_id", "known", *(f.cast(pl.Int32).cum_sum().over("deal_id").alias(n) for n, f in flags.items()), *last
    )


def _polars_looked_up(table: pl.DataFrame, running: pl.DataFrame, days: int, suffix: str) -> pl.DataFrame:
    renamed = running.rename({c: c + suffix for c in running.columns if c != "deal_id"})
    wanted = table.with_columns(pl.col("at").dt.offset_by(f"-{days}d").alias("then"))
    return wanted.join_asof(
        renamed, left_on="then", right_on=f"known{suffix}", by="deal_id", check_sortedness=False
    ).drop("then", f"known{suffix}")


def by_duckdb(files: Files, spine: pd.DataFrame) -> pd.DataFrame:
    """ASOF joins with running windows, in one statement."""
    flags = {
        "contact": "kind not in ('note', 'task')",
        "mail_in": "kind = 'email' and direction = 'in'",
        "mail_out": "kind = 'email' and direction = 'out'",
        "inbound": "direction = 'in'",
        "outbound": "direction = 'out'",
        "call": "kind = 'call'",
        "meeting": "kind in ('meeting', 'visit')",
        "note": "kind in ('note', 'task')",
        "demo": "kind = 'demo'",
        "proposal": "kind = 'proposal'",
    }
    counted = ", ".join(f"count(*) filter (where {sql}) over w as {name}" for name, sql in flags.items())
    place = "list_position({stages}, {value})".format
    stages = str(STAGES)
    step = f"{place(stages=stages, value='new_value')} - {place(stages=stages, value='old_value')}"
    pushed = "field = 'close_date' and try_cast(new_value as date) > try_cast(old_value as date)"
    counts = ", ".join(
        f"coalesce(a0.{f}, 0)" + ("" if d is None else f" - coalesce(a{d}.{f}, 0)") + f" as {n}"
        for n, (f, d) in COUNTS.items()
    )
    since = "date_diff('microsecond', {0}, s.as_of) / 86400e6 as {1}".format
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'; set threads = 2")
        con.register("given", spine)
        asofs = " ".join(
            f"asof left join acts a{d} on a{d}.deal_id = s.deal_id and s.as_of - interval {d} day >= a{d}.known"
            for d in (0, 7, 30)
        )
        held = " ".join(
            f"asof left join log {f} on {f}.deal_id = s.deal_id and {f}.field = '{f}' and s.as_of >= {f}.known "
            f"left join firsts first_{f} on first_{f}.deal_id = s.deal_id and first_{f}.field = '{f}'"
            for f in ("amount", "stage")
        )
        value = "coalesce({0}.new_value, first_{0}.old_value)".format
        return (
            con.sql(f"""
            with s as (select row_number() over () as row, deal_id, as_of from given),
            acts as (
                select deal_id, coalesce(recorded_at, occurred_at) as known, {counted},
                       max(case when kind not in ('note', 'task') then known end) over w as last_contact,
                       max(case when direction = 'in' then known end) over w as last_inbound
                from read_parquet({files["activities"]})
                window w as (partition by deal_id order by coalesce(recorded_at, occurred_at), _seq)
            ),
            log as (select *, coalesce(recorded_at, changed_at) as known from read_parquet({files["deal_changes"]})),
            firsts as (select deal_id, field, arg_min(old_value, known) as old_value from log group by all),
            moves as (
                select deal_id, known, count(*) filter (where field = 'stage' and {step} > 0) over w as forward,
                       count(*) filter (where field = 'stage' and {step} < 0) over w as backward,
                       count(*) filter (where {pushed}) over w as pushed,
                       max(case when {pushed} then known end) over w as last_pushed
                from log window w as (partition by deal_id order by known, _seq)
            )
            select {counts}, a0.inbound / nullif(a0.outbound, 0) as reply_ratio,
                   {", ".join(f"coalesce(m.{f}, 0) as {n}" for n, f in MOVES.items())},
                   {since("a0.last_contact", "days_silent")}, {since("a0.last_inbound", "days_since_inbound")},
                   {since("m.last_pushed", "days_since_push")}, {since("m.known", "days_since_change")},
                   {value("amount")}::double as amount,
                   ({place(stages=stages, value=value("stage"))} - 1)::double as stage_index
            from s {asofs} asof left join moves m on m.deal_id = s.deal_id and s.as_of >= m.known {held}
            order by s.row""")
            .to_arrow_table()
            .to_pandas()[WANTED]
        )


PEERS: dict[str, Callable[[Files, pd.DataFrame], pd.DataFrame]] = {
    "pandas": by_pandas,
    "polars": by_polars,
    "duckdb": by_duckdb,
}


def files_of(lake: Path, view: object) -> Files:
    """The files of the tables that the peers read."""
    return {name: view.paths(name) for name in ("deals", "activities", "deal_changes")}  # type: ignore[attr-defined]
