"""The printed table of results."""

import re

import numpy as np
import pytest

from mbnet_jax.data import DATASETS
from mbnet_jax.evaluation.table import PAPER, format_table

BOLD = re.compile(r"\x1b\[1m(.*?)\x1b\[22m")


def fake_results(name: str) -> dict:
    row = {"rank1": 0.5, "rank5": 0.61, "rank10": 0.7, "mAP": 0.25, "mINP": np.nan}
    drawn = row | {f"{key}_std": 0.012 for key in row}
    return {
        p.name: dict.fromkeys(("global", "chance"), drawn if p.draws else row)
        for p in DATASETS[name].protocols
    }


def blocks_of(name: str, results: dict | None = None, **look) -> list[list[str]]:
    text = format_table(results or fake_results(name), DATASETS[name].protocols, **look)
    return [block.splitlines() for block in text.split("\n\n")]


@pytest.mark.parametrize(("width", "blocks"), [(60, 3), (80, 3), (120, 1), (300, 1)])
def test_a_table_has_a_block_a_rule_where_it_does_not_fit(width, blocks):
    results = fake_results("synthetic")
    for values in results.values():  # the widest labels
        values |= {"clothing_unrelated": values["global"]}
    found = blocks_of("synthetic", results, width=width)
    assert len(found) == blocks
    assert max(len(line) for block in found for line in block) <= width


def test_draws_and_the_papers_row_fit_80_columns():
    results = fake_results("prcc")
    for values in results.values():
        values |= {"clothing_unrelated": values["global"]}
        values |= {"clothing_unrelated_reranked": values["global"]}
    blocks = blocks_of("prcc", results)
    assert max(len(line) for block in blocks for line in block) <= 80
    assert len(blocks) == len(DATASETS["prcc"].protocols)
    assert blocks[3][0].split() == ["|", "clothes-changing-single-shot"]
    cells = ["50.0±1.2", "61.0±1.2", "70.0±1.2", "25.0±1.2", "-"]
    assert blocks[3][3].split() == ["global", "branch", "|", *cells]
    # The paper's figures appear under Rank-1 and mAP of their own protocol alone.
    heads, paper, chance = blocks[2][1], *blocks[2][-2:]
    assert chance.startswith("chance ")
    assert paper.startswith(PAPER)
    assert paper[len(PAPER) :].split() == ["|", "58.3", "57.9"]
    for column, value in (("R1", "58.3"), ("mAP", "57.9")):
        end = heads.index(column) + len(column)
        assert paper[:end].endswith(value)
    assert PAPER not in "\n".join(blocks[0] + blocks[1] + blocks[3])


def test_one_rule_with_more_ranks_than_fit_has_several_blocks():
    ranks = {f"rank{k}": 0.5 for k in range(1, 20)}
    results = {
        p.name: {"global": ranks, "chance": ranks} for p in DATASETS["ltcc"].protocols
    }
    blocks = blocks_of("ltcc", results)
    assert max(len(line) for block in blocks for line in block) <= 80
    heads = [head for b in blocks for head in b[1].replace("|", "").split()]
    assert heads == [f"R{k}" for k in range(1, 20)] * len(results)


def test_a_table_without_the_papers_figures_is_one_block_of_120_columns():
    assert blocks_of("synthetic", width=120) == [
        [
            " " * 13
            + " |           general           "
            + " |         same-clothes        "
            + " |       clothes-changing",
            " " * 13 + " |   R1    R5   R10   mAP  mINP" * 3,
            "-" * (13 + 3 * 31),
            "global branch" + " | 50.0  61.0  70.0  25.0     -" * 3,
            "chance       " + " | 50.0  61.0  70.0  25.0     -" * 3,
        ]
    ]


def test_a_re_ranked_embedding_has_a_row_below_its_own():
    results = fake_results("synthetic")
    for values in results.values():
        values["global_reranked"] = values["global"] | {"mAP": 0.3}
    rows = blocks_of("synthetic", results, width=50)[0][3:]
    assert rows == [
        "global branch | 50.0  61.0  70.0  25.0     -",
        "  re-ranked   | 50.0  61.0  70.0  30.0     -",
        "chance        | 50.0  61.0  70.0  25.0     -",
    ]


def test_the_best_of_a_column_is_bold_on_a_terminal_and_aligned_as_elsewhere():
    results = fake_results("ltcc")
    for values in results.values():
        low = {"rank1": 0.4, "rank5": 0.61, "rank10": 0.71, "mAP": 0.2, "mINP": 0.1}
        values["mask"] = low
        values["chance"] = dict.fromkeys(low, 0.9)  # of no account, as the paper's
    plain = blocks_of("ltcc", results, width=50)
    bold = blocks_of("ltcc", results, width=50, bold=True)
    assert [[BOLD.sub(r"\1", line) for line in block] for block in bold] == plain
    for block in bold:
        cells = {row.split()[0]: BOLD.findall(row) for row in block[3:]}
        assert cells["global"] == ["50.0", "61.0", "25.0"]
        assert cells["mask"] == ["61.0", "71.0"]
        assert not cells["chance"] and not cells.get("MBNet,")
    alone = blocks_of("ltcc", bold=True)
    assert "\x1b" not in str(alone)  # nothing to choose from
