"""Datasets from raw folder to table, without parsing maps, in their exact layouts.

Market-1501 is in test_junk, CCVID in test_tracklets.
"""

import csv
import json

import layouts_clothes
import layouts_standard
import layouts_video
import pytest
from test_datasets import run, small

from mbnet_jax.config import load_config
from mbnet_jax.data.variants import with_variants

pytestmark = pytest.mark.usefixtures("one_block")

THREE = ["general", "same_clothes", "clothes_changing"]
# Its folder's writer, its protocols, persons of the queries
DATASETS = {
    "last": (layouts_clothes.write_last, ["any"], {"005859", "010903"}),
    "deepchange": (
        layouts_clothes.write_deepchange,
        ["same_tracklet_out"],
        {"0005", "0034"},
    ),
    "celeb_reid": (layouts_clothes.write_celeb_reid, ["any"], {"1", "2"}),
    "celeb_reid_light": (layouts_clothes.write_celeb_reid_light, ["any"], {"1", "2"}),
    "nkup": (layouts_clothes.write_nkup, ["general"], {"0005", "0077"}),
    "msmt17": (layouts_standard.write_msmt17, ["general"], {"0000", "0001"}),
    "cuhk03": (layouts_standard.write_cuhk03_np, ["general"], {"0002", "1467"}),
    "mevid": (layouts_video.write_mevid, THREE, {"0201", "0202"}),
}
TOO_FEW = ("cuhk03", "mevid")  # persons to hold some of them out


@pytest.mark.parametrize("name", DATASETS)
def test_from_raw_folder_to_table(name, tmp_path, capsys):
    write, protocols, persons = DATASETS[name]
    root = write(tmp_path / "data")
    config = with_variants(small(load_config(name), root, ""))
    config.loss.ktm_area = 0.0  # needs maps
    config.train.epochs = 1
    if name in TOO_FEW:
        config.data.validation = "none"
    results = run(config, tmp_path / "run")
    printed = capsys.readouterr().out
    assert [*results] == protocols
    assert all(protocol.replace("_", "-") in printed for protocol in protocols)
    assert all(0 < result["global"]["mAP"] <= 1 for result in results.values())
    assert "is left out" not in printed
    stored = json.loads((tmp_path / "run" / "eval" / "metrics.json").read_text())
    assert stored["results"] == results
    queries = stored["protocols"][protocols[0]]
    assert queries["queries"] == queries["queries_with_a_match"]
    with (tmp_path / "run" / "eval" / "queries.csv").open() as lines:
        assert {row["person"] for row in csv.DictReader(lines)} == persons
    log = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    validated = any("mAP" in line for line in log)
    assert validated == (name not in TOO_FEW)
