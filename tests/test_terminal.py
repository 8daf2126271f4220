"""What training and testing say: the header, the step's lines, TensorBoard's events."""

import contextlib
import json
import re

import numpy as np
import tiny
from event_files import read_events, scalars_of

from mbnet_jax.config import load_config
from mbnet_jax.data import DATASETS, Dataset, Split
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.runs.events import Events, write_test
from mbnet_jax.runs.header import header, training_splits
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.training.logs import Logs


def split_of(persons: int, images: int, labelled: bool = True) -> Split:
    pid = np.arange(images, dtype=np.int32) % persons
    label = np.arange(images, dtype=np.int32) // persons
    unknown = np.full(images, -1, np.int32)
    return Split(
        pid,
        label % 3 if labelled else unknown,
        label % 2 if labelled else unknown,  # numbered from 0 for each person
        ("",) * images,
        np.arange(images),
        None,
    )


def test_the_header_has_data_network_devices_and_the_config_differences():
    config = load_config("synthetic", ["train.epochs=2", "model.branches=('global',)"])
    params = abstract_variables(config, make_model(config.model, 56))["params"]
    test = {"query": split_of(4, 24), "gallery": split_of(4, 2000, labelled=False)}
    protocols = DATASETS["synthetic"].protocols
    dataset = Dataset(split_of(56, 2016), None, test, protocols)
    text = header(
        config,
        training_splits(dataset),
        params,
        make_mesh(),
        training="192 steps",
        folder="runs/" + "x" * 90,
    )
    count = sum(np.prod(x.shape) for x in tiny_leaves(params))
    assert text.splitlines() == [
        "images         persons   images  cameras  outfits",
        "  train             56    2,016        3      112",
        "  query              4       24        3        8",
        "  gallery            4    2,000        -        -",
        f"network      {count / 1e6:.1f}M parameters, KTM",
        "backbones    global resnet10 1.2M",
        "devices      8 x cpu, float32",
        "training     192 steps",
        "folder       runs/" + "x" * 90,  # a path is not broken
        "config       synthetic, model.branches=global, train.epochs=2",
    ]


def tiny_leaves(tree):
    for value in tree.values():
        yield from tiny_leaves(value) if isinstance(value, dict) else [value]


def test_many_differences_are_counted():
    config = tiny.tiny_config("data")
    params = abstract_variables(config, make_model(config.model, 56))["params"]
    lines = header(config, {}, params, make_mesh()).splitlines()
    assert max(map(len, lines)) <= 80 and len(lines) <= 10
    assert re.search(r"and \d+ more in config.json$", lines[-1])


def test_images_a_second_are_in_the_events_and_on_a_line_but_not_in_the_log(
    tmp_path, capsys
):
    logs = Logs(
        tmp_path, step=0, evaluated=0, total=8, batch_size=32, schedule=lambda _: 0.5
    )
    with contextlib.closing(logs):
        for step in range(1, 5):
            values = {"loss": np.float32(3.125), "gradient_norm": np.float32(1)}
            counts = {"bad_steps": np.int32(0), "bad_in_a_row": np.int32(0)}
            logs.add(step, values | counts)
            if step % 2 == 0:
                logs.end_window(step)
        logs.write()
        logs.evaluation(4, {"rank1": 0.5, "mAP": 0.25})
        logs.evaluation(4, {"rank1": 0.5, "mAP": 0.125})
    printed = capsys.readouterr()
    lines = printed.err.splitlines()
    assert len(lines) == 2
    for step, line in zip((2, 4), lines, strict=True):
        pattern = rf"step {step}/8: loss 3\.12, [\d,.]+ images/s, \d:\d\d left"
        assert re.fullmatch(pattern, line), line
    assert printed.out.splitlines() == [
        "step 4: validation rank1 50.0, mAP 25.0 (the best so far)",
        "step 4: validation rank1 50.0, mAP 12.5 (best mAP 25.0)",
    ]
    text = (tmp_path / "metrics.jsonl").read_text()
    assert "second" not in text
    assert [json.loads(line)["step"] for line in text.splitlines()] == [2, 4, 4, 4]
    found = scalars_of(read_events(tmp_path))
    assert found["loss", 4] == 3.125 and found["validation/mAP", 4] == 0.125
    assert found["images_per_second", 2] > 0 and found["images_per_second", 4] > 0


def test_scores_and_ranked_lists_of_a_test_are_in_the_events(tmp_path):
    values = {"rank1": 0.5, "rank5": 0.75, "mAP": 0.25, "mINP": np.nan}
    results = {"general": {"all": values, "chance": values | {"mAP": np.nan}}}
    picture = tmp_path / "ranked_lists.png"
    picture.write_bytes(tiny.encoded(np.zeros((30, 70, 3), np.uint8), "PNG"))
    write_test(tmp_path, 600, results, picture)
    events = read_events(tmp_path)
    assert scalars_of(events) == {
        ("test/general/all/mAP", 600): 0.25,
        ("test/general/all/rank1", 600): 0.5,
        ("test/general/chance/rank1", 600): 0.5,
    }
    (shown,) = [e.summary.value[0] for e in events if e.summary.value[0:1]][-1:]
    assert shown.tag == "test/ranked_lists"
    assert (shown.image.height, shown.image.width) == (30, 70)
    assert shown.image.encoded_image_string == picture.read_bytes()


def test_a_resumed_run_hides_what_will_be_repeated(tmp_path):
    with contextlib.closing(Events(tmp_path)) as events:
        events.resume(7)
    started = [e for e in read_events(tmp_path) if e.HasField("session_log")]
    assert [event.step for event in started] == [7]
