"""`bellwether import --guess`: a mapping is written to look through, nothing is imported, nothing written over."""

import pytest
from typer.testing import CliRunner

from crm.mapping import load
from serving.cli import app
from serving.cli.data import Kept

DEALS = "Deal ID,Stage,Outcome,Created,Amount\n1,Talk,open,2026-01-01,5\n2,Offer,won,2026-01-02,6\n"


def test_a_mapping_is_written_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "export.csv").write_text(DEALS, encoding="utf-8")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["import", ".", "--guess", "out/ours.yaml"])
    assert done.exit_code == 0, done.output
    assert "export.csv fills deals. likely: deal_id, amount, stage, created_at, outcome" in done.output
    assert "notes.csv fits no table that is known." in done.output
    assert "Next: bellwether import . --mapping out/ours.yaml" in done.output
    assert [table.file for table in load(tmp_path / "out" / "ours.yaml").tables] == ["export.csv"]
    assert {p.name for p in tmp_path.iterdir()} == {"export.csv", "notes.csv", "out"}  # no home was made
    again = CliRunner().invoke(app, ["import", ".", "--guess", "out/ours.yaml"])
    assert isinstance(again.exception, Kept)


def test_a_folder_without_a_table_is_told_so(tmp_path):
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["import", str(tmp_path), "--guess", str(tmp_path / "ours.yaml")])
    with pytest.raises(Exception, match="no file looks like deals"):
        raise done.exception
    assert not (tmp_path / "ours.yaml").exists()
