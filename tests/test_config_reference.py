"""docs/config.md names every field, and says what the config files say."""

import pytest

from configs import (
    base,
    ltcc,
    manifest,
    prcc,
    synthetic,
    synthetic_large,
    vc_clothes,
)
from mbnet_jax.config import flat
from tools import config_reference


def test_the_page_is_what_the_generator_makes():
    assert config_reference.PAGE.read_text() == config_reference.page(), (
        "run python -m tools.config_reference"
    )


def test_every_field_is_named_with_its_default():
    page = config_reference.PAGE.read_text()
    fields = flat(base.get_config())
    fields |= {
        field: value
        for field, value in flat(synthetic.get_config()).items()
        if field not in fields
    }
    for field, value in fields.items():
        default = repr(value).replace("'", '"')
        assert f"\n| `{field}` | `{default}` | " in page, field


@pytest.mark.parametrize(
    "module", [synthetic, synthetic_large, ltcc, prcc, vc_clothes, manifest]
)
def test_what_a_config_changes_is_in_its_column(module):
    name = module.__name__.removeprefix("configs.")
    table = config_reference.PAGE.read_text().partition("## What each config changes")[
        2
    ]
    head, _, *rows = [line for line in table.splitlines() if line.startswith("|")]
    column = head.split(" | ").index(name) if name != "manifest" else -1
    if column < 0:
        assert head.endswith(f" | {name} |")
    shown = {}
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if cells[column]:
            shown[cells[0].strip("`")] = cells[column].strip("`")
    before = flat(base.get_config())
    changed = {
        field: repr(value).replace("'", '"')
        for field, value in flat(module.get_config()).items()
        if field in before and value != before[field]
    }
    assert shown == changed


def test_a_comment_above_and_one_behind_belong_to_their_field():
    above = "# two\n# lines\nc.b = {\n}  # and more\n"
    found = config_reference.comments(
        f"c.a = 1  # one\n{above}d = 3  # other\nc.e = 4\n"
    )
    assert found == {"a": "one", "b": "two lines and more", "e": ""}


def test_a_field_without_a_comment_is_an_error():
    with pytest.raises(ValueError, match="no comment says what b means"):
        config_reference.tables({"a": 1, "b": 2}, {"a": "one", "b": ""})
