"""The printed table of results."""

import numpy as np

from mbnet_jax.data import DATASETS
from mbnet_jax.evaluation.table import PAPER, WIDTH, format_table


def fake_results(name: str) -> dict:
    row = {"rank1": 0.5, "rank5": 0.61, "rank10": 0.7, "mAP": 0.25, "mINP": np.nan}
    drawn = row | {f"{key}_std": 0.012 for key in row}
    return {
        p.name: dict.fromkeys(("global", "chance"), drawn if p.draws else row)
        for p in DATASETS[name].protocols
    }


def test_a_wide_table_goes_into_blocks_with_the_papers_row():
    text = format_table(fake_results("prcc"), DATASETS["prcc"].protocols)
    assert all(len(line) <= WIDTH for line in text.splitlines())
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert len(blocks) == 2
    assert blocks[0][0].split() == [
        "|",
        "same-clothes-multi-shot",
        "|",
        "same-clothes-single-shot",
    ]
    assert blocks[1][3].split() == [
        "global",
        "branch",
        "|",
        "50.0",
        "61.0",
        "70.0",
        "25.0",
        "-",
        "|",
        "50.0±1.2",
        "61.0±1.2",
        "70.0±1.2",
        "25.0±1.2",
        "-",
    ]
    # The paper's figures appear under Rank-1 and mAP of their own protocol alone.
    heads, paper = blocks[1][1], blocks[1][-1]
    assert paper.startswith(PAPER) and paper[len(PAPER) :].split() == [
        "|",
        "58.3",
        "57.9",
        "|",
    ]
    for column, value in (("R1", "58.3"), ("mAP", "57.9")):
        end = heads.index(column) + len(column)
        assert paper[:end].endswith(value)
    assert PAPER not in "\n".join(blocks[0])


def test_a_table_without_the_papers_figures_is_one_block():
    text = format_table(fake_results("synthetic"), DATASETS["synthetic"].protocols)
    assert text.splitlines() == [
        " " * 13
        + " |           general             |         same-clothes         "
        + " |       clothes-changing",
        " " * 13 + " |    R1    R5   R10   mAP  mINP" * 3,
        "-" * (13 + 3 * 32),
        "global branch" + " |  50.0  61.0  70.0  25.0     -" * 3,
        "chance       " + " |  50.0  61.0  70.0  25.0     -" * 3,
    ]


def test_a_re_ranked_embedding_has_its_own_row():
    results = fake_results("synthetic")
    for values in results.values():
        values["global_reranked"] = values["global"] | {"mAP": 0.3}
    rows = format_table(results, DATASETS["synthetic"].protocols).splitlines()[3:]
    assert rows[0].startswith("global branch            |")
    assert rows[2] == (
        "global branch, re-ranked" + " |  50.0  61.0  70.0  30.0     -" * 3
    )
