"""Config files that cannot be used: each is refused in one line that says why."""

import os

import pytest
from ml_collections import ConfigDict, config_dict

import mbnet_jax
from mbnet_jax import configs
from mbnet_jax.config import check_config, load_config
from mbnet_jax.configs import base, synthetic

START = "from mbnet_jax.configs import synthetic\n\n\ndef get_config():\n"
GOOD = f"{START}    c = synthetic.get_config()\n    return c\n"


def refusal(file, content=None) -> str:
    """The one line in which a config file is refused."""
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as error:
        load_config(file)
    text = str(error.value)
    assert "\n" not in text and str(file) in text
    return text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no function get_config()"),
        ("x = 1\n", "has no function get_config()"),
        ("def get_config(:\n", ", line 1 is not Python ("),
        (GOOD + "\n\n  x\n", ", line 9 is not Python ("),
        (GOOD.encode("utf-16"), "is not text in UTF-8"),
        (GOOD.encode() + b"# \xff\n", "is not text in UTF-8"),
        (b"\0" * 100, "is not text;"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "is not text in UTF-8"),
        ("import nothing_like_it\n" + GOOD, ", line 1: ModuleNotFoundError: No module"),
        (f"{START}    1 / 0\n", ", line 5: ZeroDivisionError: division by zero"),
        (f"{START}    raise SystemExit(3)\n", ", line 5: SystemExit: 3"),
        (f"{START}    return get_config()\n", "RecursionError"),
        ("get_config = 3\n", "TypeError: 'int' object is not callable"),
        (f"{START}    pass\n", "must return an ml_collections.ConfigDict, not a None"),
        (f"{START}    return {{}}\n", "ml_collections.ConfigDict, not a dict"),
        (GOOD.replace("get_config()\n    r", "get_config\n    r"), "not a function"),
        (
            GOOD.replace("    return", "    c.trian.epochs = 3\n    return"),
            ", line 6: AttributeError",
        ),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, content, message):
    assert message in refusal(tmp_path / "mine.py", content)


def test_a_file_of_another_kind_is_refused(tmp_path):
    assert "is not a regular file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.py")
    assert "is not a regular file" in refusal(tmp_path / "pipe.py")
    assert "2,000,000 bytes" in refusal(tmp_path / "large.py", b" " * 2_000_000)


def test_a_script_without_a_config_is_not_run(tmp_path):
    ran = tmp_path / "ran"
    refusal(tmp_path / "script.py", f"open({str(ran)!r}, 'w')\n")
    assert not ran.exists()
    message = r"train\.py has no function get_config\(\); write one like configs/"
    with pytest.raises(ValueError, match=message):
        load_config("train.py")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c.train.batchsize = 8", "train.batchsize is unknown; nearest known: train.b"),
        ("c.pretrained = ''", "pretrained is unknown"),
        ("c.train.batch_size = 0", "train.batch_size=0 must be a whole number from 2"),
        ("del c.train.epochs", "train.epochs is missing; it must be a whole number"),
        ("del c.train", "train.epochs is missing"),
        (
            "c.views.crops = (128.0, 64.0)",
            "views.crops=(128.0, 64.0) must be 2 entries",
        ),
        ("c.eval.ranks = ((1, 2),)", "eval.ranks=((1, 2),) must be 1 to 100"),
        ("c.train.epochs = ConfigDict()", "train.epochs={} must be a whole number"),
        ("c.train.epochs = 'many'", "train.epochs='many' must be a whole number from"),
        ("c.train = 3", "train=3 must be a section with fields of its own"),
        ("c.name = 'a\\0'", "name='a\\x00' must be text of at most"),
    ],
)
def test_a_file_that_sets_what_is_not_allowed_is_refused(tmp_path, line, message):
    line = f"    {line}\n    return"
    source = "from ml_collections import ConfigDict\n" + GOOD.replace(
        "    return", line
    )
    (tmp_path / "mine.py").write_text(source)
    with pytest.raises(ValueError) as error:
        load_config(tmp_path / "mine.py")
    assert message in str(error.value)


def test_a_config_file_may_import_alias_and_refer(tmp_path):
    for source in (
        "from mbnet_jax.configs.synthetic import get_config\n",
        "from mbnet_jax.configs.synthetic import *\n",
        "from mbnet_jax.configs import synthetic\nget_config = synthetic.get_config\n",
        "# -*- coding: latin-1 -*-\n# \xe9\n".encode("latin-1").decode("latin-1")
        + GOOD,
    ):
        (tmp_path / "mine.py").write_text(source, encoding="latin-1")
        assert load_config(tmp_path / "mine.py", ["data.height=96"]).data.height == 96


def test_numbers_and_lists_of_a_config_file_get_their_fields_types(tmp_path):
    line = (
        "    c.loss.cal, c.eval.ranks, c.views.crops = 1, [1, 5], [64, 32]\n    return"
    )
    (tmp_path / "mine.py").write_text(GOOD.replace("    return", line))
    config = load_config(tmp_path / "mine.py")
    assert isinstance(config.loss.cal, float) and config.loss.cal == 1
    assert (config.eval.ranks, config.views.crops) == ((1, 5), (64, 32))


def test_a_value_of_another_type_in_a_file_can_be_overridden(tmp_path):
    source = "from ml_collections import ConfigDict\n" + GOOD
    source = source.replace(
        "return c", "return ConfigDict(c.to_dict() | {'seed': 'x'})"
    )
    (tmp_path / "mine.py").write_text(source)
    assert load_config(tmp_path / "mine.py", ["seed=3"]).seed == 3


def test_a_config_file_declares_fields_of_its_own(tmp_path, monkeypatch):
    fields = base.fields()
    monkeypatch.setattr(base, "FIELDS", fields)
    line = "base.FIELDS.data.mine = schema.whole(3, high=9)\n"
    source = f"from mbnet_jax import schema\nfrom mbnet_jax.configs import base\n{line}"
    (tmp_path / "mine.py").write_text(source + GOOD)
    assert load_config(tmp_path / "mine.py", ["data.mine=9"]).data.mine == 9
    with pytest.raises(ValueError, match=r"data\.mine=10 must be a whole number from"):
        load_config(tmp_path / "mine.py", ["data.mine=10"])


def test_undeclared_fields_are_refused():
    config = load_config("synthetic")
    with config.unlocked():
        config.data.mine = 3
    with pytest.raises(ValueError, match=r"^data\.mine is unknown; nearest known"):
        check_config(config)


def test_a_reference_without_a_value_is_refused():
    config = synthetic.get_config()
    config.train.epochs = config_dict.required_placeholder(int)
    with pytest.raises(ValueError, match=r"the config has references without a value"):
        check_config(config)
    config.train.epochs = config_dict.placeholder(int)
    with pytest.raises(ValueError, match=r"^train\.epochs=None must be a whole number"):
        check_config(config)


def test_a_config_that_holds_itself_is_refused():
    config = synthetic.get_config()
    config.train.all = config
    with pytest.raises(ValueError, match=r"^train\.all is unknown"):
        check_config(config)


@pytest.mark.parametrize("config", [None, 3, "synthetic", [], {}, ConfigDict()])
def test_what_is_no_config_is_refused_before_anything_is_written(
    tmp_path, monkeypatch, config
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="the config"):
        mbnet_jax.train(config)
    assert not any(tmp_path.iterdir())


def test_a_plain_dict_is_refused_too(tmp_path):
    config = load_config("synthetic").to_dict()
    with pytest.raises(ValueError, match="must be a ConfigDict, not a dict"):
        mbnet_jax.train(config, tmp_path)


def test_a_folder_does_not_hide_the_config_of_its_name(tmp_path, monkeypatch):
    (tmp_path / "synthetic").mkdir()
    monkeypatch.chdir(tmp_path)
    assert configs.find("synthetic") == configs.FOLDER / "synthetic.py"
