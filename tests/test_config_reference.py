"""docs/config.md has every field, with its default, limits and comment in base.py."""

import importlib

import pytest

from mbnet_jax import schema
from mbnet_jax.config import flat
from mbnet_jax.configs import base
from tools import config_reference
from tools.config_reference import BACKBONE


def written(value) -> str:
    """A value as the page writes it."""
    return repr(value).replace("'", '"')


def test_the_page_is_what_the_generator_makes():
    assert config_reference.PAGE.read_text() == config_reference.page(), (
        "run python -m tools.config_reference"
    )


def test_every_field_is_named_with_its_default():
    page = config_reference.PAGE.read_text()
    fields = {
        name: field.default
        for name, field in flat(base.FIELDS).items()
        if schema.ANY not in name
    }
    branches = fields["model.branches"]
    for field, value in fields.items():
        if field.startswith("model.backbones."):
            *_, branch, name = field.split(".")
            [row] = [r for r in page.splitlines() if f"`{BACKBONE}.{name}`" in r]
            default = row.split(" | ")[1]
            values = {fields[f"model.backbones.{b}.{name}"] for b in branches}
            if len(values) == 1:
                assert default == f"`{written(value)}`", field
            else:
                assert f"`{written(value)}` (`{branch}`)" in default.split(", "), field
        else:
            assert f"\n| `{field}` | `{written(value)}` | " in page, field


def test_every_field_is_named_with_what_it_may_be():
    page = config_reference.PAGE.read_text()
    for name, limits in {
        "train.epochs": "a whole number from 1 to 1,000,000",
        "loss.cal_temperature": "a number above 0, at most 1,000,000",
        "train.schedule": '`"step"`, `"cosine"`, `"cosine_under_warmup"`',
        "eval.rerank": "True or False",
        "eval.branches": "0 to 1,000 different texts",
        "views.crops": "2 entries, each a whole number from 8 to 2,048",
        f"{BACKBONE}.last_stride": "a whole number from 1 to 2",
        "data.synthetic.outfits": "a whole number from 1 to 12",
    }.items():
        row = page.partition(f"\n| `{name}` | ")[2].splitlines()[0]
        assert row.split(" | ")[1] == limits


def test_sections_and_their_parts_are_in_file_order():
    lines = config_reference.PAGE.read_text().splitlines()
    headings = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert headings == [
        "How to write values",
        "The run",
        *("`data`", "`data.synthetic`", "`augment`", "`views`"),
        *("`model`", f"`{BACKBONE}`", "`loss`", "`train`", "`eval`"),
        "What each config changes",
    ]


def test_the_page_says_how_to_name_the_global_branch():
    page = config_reference.PAGE.read_text()
    assert "`--config.model.backbones.global.name=" in page
    assert '`c.model.backbones["global"].name' in page


@pytest.mark.parametrize("name", config_reference.SHIPPED)
def test_what_a_config_changes_is_in_its_column(name):
    table = config_reference.PAGE.read_text().partition("## What each config changes")[
        2
    ]
    head, _, *rows = [line for line in table.splitlines() if line.startswith("|")]
    column = [cell.strip() for cell in head.strip("|").split("|")].index(name)
    shown = {}
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if cells[column]:
            shown[cells[0].strip("`")] = cells[column].strip("`")
    before = flat(base.get_config())
    config = importlib.import_module(f"configs.{name}").get_config()
    changed = {
        field: written(value)
        for field, value in flat(config).items()
        if not field.startswith(("data.synthetic.", "data.parts."))
        and value != before.get(field)
    }
    assert shown == changed


def test_a_comment_above_and_one_behind_belong_to_their_field():
    above = "# two\n# lines\nc.b = {\n}  # and more\n"
    found = config_reference.comments(
        f"c.a = 1  # one\n{above}d = 3  # other\nc.e = 4\n"
    )
    assert found == {"a": "one", "b": "two lines and more", "e": ""}


def test_fields_of_sections_have_the_comments_of_one_function():
    found = config_reference.comments(
        "def backbone(name):\n    c.name = name  # which\n\n\n"
        "def people():\n    c.seed = 0  # of people\n\n\n"
        "def get_config():\n    c.name = ''  # the run\n"
    )
    assert [*found.items()] == [
        ("name", "the run"),
        (f"{BACKBONE}.name", "which"),
        ("data.synthetic.seed", "of people"),
    ]
    values = {
        "model.backbones.mask.name": "b",
        "model.backbones.global.name": "a",
        "model.backbones.mask.width": 1,
        "model.backbones.global.width": 1,
    }
    assert config_reference.defaults(values, ("global", "mask")) == {
        f"{BACKBONE}.name": '`"a"` (`global`), `"b"` (`mask`)',
        f"{BACKBONE}.width": "`1`",
    }


def test_a_field_without_a_comment_is_an_error():
    with pytest.raises(ValueError, match=r"b has no comment in configs/;"):
        config_reference.tables(
            {"a": "`1`", "b": "`2`"}, {"a": "one", "b": ""}, {"a": "text", "b": "text"}
        )
