"""What the documentation promises to name is named there."""

from pathlib import Path

import pytest

from crm.mapping import ColumnMap, Format, Mapping, TableMap

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("part", [Mapping, TableMap, ColumnMap, Format])
def test_every_key_of_a_mapping_stands_in_the_import_guide(part):
    guide = (DOCS / "import.md").read_text(encoding="utf-8")
    keys = [info.alias or name for name, info in part.model_fields.items()]
    assert [key for key in keys if f"`{key}`" not in guide] == []


def test_the_example_mapping_of_the_guide_is_valid():
    from crm.mapping import parse

    guide = (DOCS / "import.md").read_text(encoding="utf-8")
    example = guide.split("```yaml\n")[1].split("```")[0]
    assert [table.table for table in parse(example).tables] == ["deals", "accounts"]
