"""Datasets with a change of clothes from raw folder to table, without parsing maps."""

import csv
import json

import layouts_clothes as layouts
import pytest
from test_datasets import run, small

from mbnet_jax.config import load_config

pytestmark = pytest.mark.usefixtures("one_block")

# Its folder's writer, its protocol, persons of queries and of the gallery
DATASETS = {
    "last": (layouts.write_last, "any", {"005859", "010903"}),
    "deepchange": (layouts.write_deepchange, "same_tracklet_out", {"0005", "0034"}),
    "celeb_reid": (layouts.write_celeb_reid, "any", {"1", "2"}),
    "celeb_reid_light": (layouts.write_celeb_reid_light, "any", {"1", "2"}),
    "nkup": (layouts.write_nkup, "general", {"0005", "0077"}),
}


@pytest.mark.parametrize("name", DATASETS)
def test_from_raw_folder_to_table(name, tmp_path, capsys):
    write, protocol, persons = DATASETS[name]
    root = write(tmp_path / "data")
    config = small(load_config(name), root, "")
    config.loss.ktm_area = 0.0  # needs maps
    config.train.epochs = 1
    results = run(config, tmp_path / "run")
    printed = capsys.readouterr().out
    assert [*results] == [protocol] and protocol.replace("_", "-") in printed
    assert 0 < results[protocol]["global"]["mAP"] <= 1
    assert "is left out" not in printed
    stored = json.loads((tmp_path / "run" / "eval" / "metrics.json").read_text())
    assert stored["results"] == results
    queries = stored["protocols"][protocol]
    assert queries["queries"] == queries["queries_with_a_match"] == 2
    with (tmp_path / "run" / "eval" / "queries.csv").open() as lines:
        assert {row["person"] for row in csv.DictReader(lines)} == persons
    log = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert any("mAP" in line for line in log)  # of the validation
