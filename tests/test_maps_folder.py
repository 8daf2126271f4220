"""A folder of parsing maps: each map's path, and what made them."""

from pathlib import Path

import pytest

from mbnet_jax.parsing.maker import check_maker
from mbnet_jax.parsing.maps import (
    map_path,
    map_paths,
)


def test_a_map_has_its_images_path_but_is_never_the_image():
    root = Path("data/rgb")
    found = map_path(root / "train" / "1.a.jpg", root, Path("maps"))
    assert found == Path("maps/train/1.a.png")
    with pytest.raises(ValueError, match="would be the image itself"):
        map_path(root / "x.png", root, root)
    for outside in (Path("other/x.png"), root / ".." / ".." / "x.png"):
        with pytest.raises(ValueError, match="parsing_dir cannot mirror it; move the"):
            map_path(outside, root, Path("maps"))


def test_two_images_never_share_a_map():
    root = Path("rgb")
    images = [root / "a.jpg", root / "b.jpg", root / "a.jpg"]
    assert map_paths(images, root, Path("maps")) == {
        root / "a.jpg": Path("maps/a.png"),
        root / "b.jpg": Path("maps/b.png"),
    }
    shared = r"a\.jpg and rgb/a\.png would share the parsing map maps/a\.png; rename"
    with pytest.raises(ValueError, match=shared):
        map_paths([*images, root / "a.png"], root, Path("maps"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is damaged"),
        ("[]", r"is damaged \(it holds no object\)"),
        ('{"labels": "at', "is damaged"),
        ("{}", "is damaged: labels is missing; it must be one of 'canonical'"),
        ('{"labels": null}', "is damaged: labels=None must be one of"),
        ('{"labels": ["atr"]}', r"is damaged: labels=\['atr'\] must be one of"),
        ('{"labels": "cihp"}', "is damaged: labels='cihp' must be one of"),
        ('{"labels": "atr", "version": 3}', "has version=3, not 2; a later version"),
        (
            '{"labels": "atr", "version": NaN}',
            r"is damaged \(it holds the number NaN\)",
        ),
    ],
)
def test_a_damaged_description_of_maps_is_named(tmp_path, content, message):
    (tmp_path / "maps.json").write_text(content)
    with pytest.raises(ValueError, match=rf"maps\.json {message}"):
        check_maker(tmp_path, "atr")


def test_a_description_of_maps_may_be_absent_but_is_a_file(tmp_path):
    check_maker(tmp_path, "atr")
    check_maker(tmp_path / "none", "atr")
    (tmp_path / "maps.json").write_text('{"labels": "atr"}')  # of earlier versions
    check_maker(tmp_path, "atr")
    (tmp_path / "maps.json").unlink()
    (tmp_path / "maps.json").mkdir()
    with pytest.raises((ValueError, OSError), match=r"maps\.json .*; delete it if"):
        check_maker(tmp_path, "atr")
