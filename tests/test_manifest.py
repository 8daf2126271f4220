"""The reader of manifests: any identifiers, and what is wrong by line."""

import layouts
import pytest

from mbnet_jax.data import Record, read_records


def write_rows(root, *lines):
    for name in "abcdef":
        layouts.write_image(root / f"{name}.jpg", 1)
    layouts.write_image(root / "map.png", 1)
    (root / "manifest.csv").write_text("\n".join(lines))
    return root


def test_manifest(tmp_path):
    root = write_rows(
        tmp_path,
        "path,pid,split,camera,clothes,parsing",
        "b.jpg,Zoë,train,gate 2,red,map.png",
        "a.jpg,Zoë,train,gate 1,blue,",
        "c.jpg,Ann,train,gate 1,red,",
        "e.jpg,Cy,gallery,gate 2,red,",
        "d.jpg,Cy,query,gate 1,red,",
        "f.jpg,Bo,gallery,gate 1,blue,",
    )
    assert read_records("manifest", root) == {
        "train": [
            Record(root / "a.jpg", 1, 0, 1, None),
            Record(root / "b.jpg", 1, 1, 2, root / "map.png"),
            Record(root / "c.jpg", 0, 0, 0, None),
        ],
        "query": [Record(root / "d.jpg", 2, 0, 1, None)],
        "gallery": [
            Record(root / "e.jpg", 2, 1, 1, None),
            Record(root / "f.jpg", 1, 0, 0, None),
        ],
    }


def test_manifest_without_cameras_and_clothes(tmp_path):
    root = write_rows(
        tmp_path,
        "split,path,pid",
        "train,a.jpg,10",
        "train,b.jpg,9",
        "val,e.jpg,11",
        "query,c.jpg,100",
        "gallery,d.jpg,100",
    )
    assert read_records("manifest", root) == {
        # 9 sorts before 10, as numbers; a test person keeps the number.
        "train": [
            Record(root / "a.jpg", 1, -1, -1, None),
            Record(root / "b.jpg", 0, -1, -1, None),
        ],
        "val": [Record(root / "e.jpg", 11, -1, -1, None)],
        "query": [Record(root / "c.jpg", 100, -1, -1, None)],
        "gallery": [Record(root / "d.jpg", 100, -1, -1, None)],
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,person,split"], r"has the columns path, person, split\. .* pid"),
        (["path,pid,split,cloth"], r"columns path, pid, split, cloth"),
        (["path,pid,split", "a.jpg,1,test"], r"line 2: split 'test' is unknown"),
        (["path,pid,split", "a.jpg,,train"], "line 2: path and pid must not be empty"),
        (["path,pid,split", "a.jpg,1,train"], "no row of the split query"),
        (
            ["path,pid,split", "a.jpg,1,train", "a.jpg,2,query"],
            r"line 3: a\.jpg is in line 2 already",
        ),
        (
            [
                "path,pid,split,camera",
                "a.jpg,1,train,x",
                "b.jpg,2,query,",
                "c.jpg,2,gallery,",
            ],
            "camera is empty in 2 of 3 rows, the first in line 3",
        ),
        (
            [
                "path,pid,split",
                "a.jpg,1,train",
                "b.jpg,1,query",
                "c.jpg,1,gallery",
            ],
            r"1 person is both in the training and .*: 1 .*/a\.jpg and .*/c\.jpg",
        ),
    ],
)
def test_manifest_names_what_is_wrong(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        read_records("manifest", write_rows(tmp_path, *lines))


def test_manifest_names_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"manifest\.csv is missing. .* path"):
        read_records("manifest", tmp_path)
    root = write_rows(
        tmp_path,
        "path,pid,split,parsing",
        "a.jpg,1,train,none.png",
        "b.jpg,2,query,",
        "c.jpg,2,gallery,",
    )
    with pytest.raises(FileNotFoundError, match=r"1 of 1 parsing maps .*none\.png"):
        read_records("manifest", root)
    for name in "ab":
        (root / f"{name}.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 of 3 images .*/a\.jpg, .*/b\.jpg"):
        read_records("manifest", root)
