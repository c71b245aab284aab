"""Spark as the engine: DuckDB's SQL in its words, the lake's Parquet files or Arrow tables as its tables."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from crm.errors import NotReady
from crm.lake import LakeView, View, duck_type
from crm.schema import TABLES
from features.session import put_local
from features.spark_sql import parsed, spark_sql

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

HERE = "local[2]"
_CONNECT = "sc://"
_STARTING = Lock()
_running: dict[str, SparkSession] = {}
_SERVER_SESSION = Lock()  # pyspark's client of a server finds cut plans in one session of a process only
_ALWAYS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.caseSensitive": "false",
}
_HERE_ONLY = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.sql.shuffle.partitions": "4",
    # Two processors have no use for the hundreds of threads that Spark keeps for a cluster's answers.
    "spark.sql.broadcastExchange.maxThreadThreshold": "8",
    "spark.sql.shuffleExchange.maxThreadThreshold": "8",
    "spark.sql.subquery.maxThreadThreshold": "4",
}
_QUIET = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.log.level": "FATAL"}


class NoSpark(NotReady):
    """Spark cannot be had."""


class SparkEngine:
    """A Spark session of its own on a view: its tables are seen by nobody else.

    Parameters
    ----------
    spark : SparkSession
        In UTC and ANSI mode.
    local : DuckDBPyConnection
        DuckDB with the view attached.
    view : View
        The canonical tables; each is handed to Spark when a statement first names it.
    time_zone : str
        Where the company's days begin.
    """

    def __init__(self, spark: SparkSession, local: duckdb.DuckDBPyConnection, view: View, time_zone: str) -> None:
        from pyspark.errors import PySparkException

        self.errors: tuple[type[Exception], ...] = (PySparkException,)
        self.local = local
        self._spark = spark
        self._view = view
        self._time_zone = time_zone
        self._frames: dict[str, DataFrame] = {}
        self._truths: set[str] = set()

    def share(self, name: str) -> None:
        """Hand a table of `local` to Spark."""
        self._name(name, self._spark.createDataFrame(self.local.sql(f"select * from {name}").to_arrow_table()))

    def put(self, name: str, rows: pa.Table) -> None:
        """Keep rows made here as a table of both; one of that name is replaced."""
        put_local(self.local, name, rows)
        self.share(name)

    def make(self, name: str, query: str) -> None:
        """Keep the rows of a query as a table; one of that name is replaced."""
        # Without the cut, each table would carry the plans of all before it, which Spark would go through every time.
        self._name(name, self._query(query).localCheckpoint())

    def drop(self, name: str) -> None:
        """Give a table's memory back, if there is one of that name."""
        if frame := self._frames.pop(name, None):
            frame.unpersist()
            self._spark.catalog.dropTempView(name)

    def columns(self, name: str) -> dict[str, str]:
        """Columns of a table in their order, with their types in lower case."""
        self._attach({name})
        return dict(self._frames[name].dtypes)

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query, in no order unless it says one."""
        return self._query(query).toArrow()

    def close(self) -> None:
        """Give back what Spark keeps for this session."""
        for name in self._frames:
            self._spark.catalog.dropTempView(name)

    def _query(self, query: str) -> DataFrame:
        tree = parsed(query)
        self._attach({table.name for table in tree.find_all(exp.Table)})
        return self._spark.sql(spark_sql(tree, self._time_zone, self._truths))

    def _attach(self, names: set[str]) -> None:
        for name in sorted(names & TABLES.keys() - self._frames.keys()):
            self._name(name, self._canonical(name))

    def _canonical(self, name: str) -> DataFrame:
        if isinstance(self._view, LakeView) and (paths := self._view.paths(name)):
            columns = ", ".join(f"`{f.name}` {_spark_type(f.type)}" for f in self._view.schema(name))
            return self._spark.read.schema(columns).parquet(*map(_plain, paths))
        return self._spark.createDataFrame(self._view.arrow(name))

    def _name(self, name: str, frame: DataFrame) -> None:
        frame.createOrReplaceTempView(name)
        self._frames[name] = frame
        self._truths |= {column for column, kind in frame.dtypes if kind == "boolean"}


@contextmanager
def spark_engine(address: str, view: View, local: duckdb.DuckDBPyConnection, time_zone: str) -> Iterator[SparkEngine]:
    """Spark on a view; what it keeps is given back at the end, Spark itself stays for the next time.

    Parameters
    ----------
    address : str
        `spark` for Spark in this process's own JVM, `spark://host:port` for a cluster, `sc://host:port` for a server
        that speaks Spark Connect.
    view : View
        The canonical tables. On a cluster, a lake's folder must be readable there under the same path.
    local : DuckDBPyConnection
        DuckDB with the view attached.
    time_zone : str
        Where the company's days begin.

    Raises
    ------
    NoSpark
        If pyspark or Java is not installed, the address does not answer, or Spark runs at another address.
    """
    server = address.startswith(_CONNECT)
    with warnings.catch_warnings(), _SERVER_SESSION if server else nullcontext():
        # Rows go to and fro as Arrow tables, which pandas has no part in.
        warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
        spark = _started(address) if server else _started(address).newSession()
        for name, value in _ALWAYS.items():
            spark.conf.set(name, value)
        engine = SparkEngine(spark, local, view, time_zone)
        try:
            yield engine
        finally:
            engine.close()


def _started(address: str) -> SparkSession:
    """Spark at an address, started once in a process; anew where its Java process has died since."""
    with _STARTING:
        forget_the_dead()
        if address not in _running:
            _running[address] = _new(address)
        return _running[address]


def forget_the_dead() -> None:
    """Let go of a Spark whose Java process has ended: nobody would get an answer from it any more."""
    for address, spark in list(_running.items()):
        if not address.startswith(_CONNECT) and _has_died(spark):
            from pyspark import SparkContext
            from pyspark.sql import SparkSession

            logging.getLogger(__name__).warning("Spark's Java process has ended; the next question starts another.")
            del _running[address]
            gateway: Any = spark.sparkContext._gateway
            gateway.close()
            for pipe in (gateway.proc.stdin, gateway.proc.stdout):
                if pipe is not None:
                    pipe.close()
            # pyspark has no words for this: it would go on asking the process that is gone.
            SparkContext._active_spark_context = SparkContext._gateway = SparkContext._jvm = None
            SparkSession._instantiatedSession = None


def _has_died(spark: SparkSession) -> bool:
    process = getattr(spark.sparkContext._gateway, "proc", None)
    return process is not None and process.poll() is not None


def _new(address: str) -> SparkSession:
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise NoSpark("Spark is not installed. Install it: pip install 'bellwether[spark]'.") from None
    # Spark writes every refused statement with its Java trace; what matters of it is in the exception.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    builder = SparkSession.builder.appName("bellwether")
    try:
        if address.startswith(_CONNECT):
            return builder.remote(address).getOrCreate()
        master = HERE if address == "spark" else address
        options = _QUIET | _ALWAYS | {"spark.sql.warehouse.dir": tempfile.gettempdir()}
        for name, value in (options | (_HERE_ONLY if address == "spark" else {})).items():
            builder = builder.config(name, value)
        spark = builder.master(master).getOrCreate()
    except PySparkException as error:
        raise NoSpark(f"Spark does not start at {address}: {_said(error)}. Java 17 or newer is needed.") from None
    if spark.sparkContext.master != master:
        raise NoSpark(f"Spark runs at {spark.sparkContext.master} in this process. Use that one, or a new process.")
    return spark


def _said(error: Exception) -> str:
    return str(error).split("\n", 1)[0].removesuffix(".")


def _plain(path: str) -> str:
    # What Spark would take for a pattern of names.
    return "".join(f"\\{c}" if c in "{}*?[]" else c for c in path)


def _spark_type(kind: pa.DataType) -> str:
    return exp.DataType.build(duck_type(kind), dialect="duckdb").sql("spark")
