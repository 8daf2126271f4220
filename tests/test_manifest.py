"""The reader of manifests: any identifiers, and what is wrong by line."""

import os

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
            Record(root / "a.jpg", 1, 0, 1, None, ("Zoë", "gate 1", "blue")),
            Record(root / "b.jpg", 1, 1, 2, root / "map.png", ("Zoë", "gate 2", "red")),
            Record(root / "c.jpg", 0, 0, 0, None, ("Ann", "gate 1", "red")),
        ],
        "query": [Record(root / "d.jpg", 2, 0, 1, None, ("Cy", "gate 1", "red"))],
        "gallery": [
            Record(root / "e.jpg", 2, 1, 1, None, ("Cy", "gate 2", "red")),
            Record(root / "f.jpg", 1, 0, 0, None, ("Bo", "gate 1", "blue")),
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
            Record(root / "a.jpg", 1, -1, -1, None, ("10", "", "")),
            Record(root / "b.jpg", 0, -1, -1, None, ("9", "", "")),
        ],
        "val": [Record(root / "e.jpg", 11, -1, -1, None, ("11", "", ""))],
        "query": [Record(root / "c.jpg", 100, -1, -1, None, ("100", "", ""))],
        "gallery": [Record(root / "d.jpg", 100, -1, -1, None, ("100", "", ""))],
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["path,who,split"],
            r"has the columns path, who, split, and none that is pid\. .* pid, split",
        ),
        (
            ["path,persn,cam", "a.jpg,1,x"],
            r"none that is pid or split\. .*The column persn looks like person: rename "
            "it to pid, or remove it",
        ),
        (['"path,pid,split"'], r"none .*\. Remove the quotes around whole lines\."),
        (
            ["path,pid,split,clothse"],
            "The column clothse looks like clothes: rename it to clothes, or remove",
        ),
        (
            ["file,Image,pid,split"],
            "the columns file, Image could all be path; rename the right one to path",
        ),
        (["path,pid,PID,split"], "has the column pid twice; keep one"),
        (["path,pid,split", "a.jpg,1,dev"], r"line 2: split 'dev' is unknown; known:"),
        (
            ["path,pid,split", "a.jpg,1,Test"],
            "line 2: split 'Test': give query for images to search for, gallery for",
        ),
        (
            ["path,pid,split", r"C:\pictures\a.jpg,1,train"],
            r"line 2: path 'C:.*' is an absolute path of Windows; write it relative",
        ),
        (
            ["path,pid,split", r"..\a.jpg,1,train"],
            r"line 2: path '\.\./a\.jpg' must not",
        ),
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


ROWS = (
    "path,pid,split\na.jpg,1,train\nb.jpg,Zoë,train\nc.jpg,3,query\nd.jpg,3,gallery\n"
)


def changed(old, new):
    assert old in ROWS
    return ROWS.replace(old, new)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ROWS.encode("utf-32"), r"manifest\.csv is UTF-32; save it as UTF-8"),
        (ROWS.encode("utf-16")[:-1], "line 5 is damaged UTF-16 text; save it"),
        (changed("1,", "\0,").encode("utf-16"), "line 2 holds a NUL; save it as UTF-8"),
        (b"PK\3\4" + bytes(30), "is not text, but a spreadsheet's own file; save it"),
        (ROWS.encode("utf-16-le"), "line 1: the byte 0x00 is not UTF-8 text; save it"),
        (
            ROWS.encode("latin-1"),
            r"line 3: the byte 0xeb is not UTF-8 text \(in Windows-1252 or Latin-1 it "
            r"would read 'Zoë'\); save it as UTF-8 \(a spreadsheet calls it CSV UTF",
        ),
        (
            changed("Zoë", "Zo").encode().replace(b"Zo", b"Zo\x81"),
            "line 3: the byte 0x81 is not UTF-8 text; save it",
        ),
        (changed("1,", "\0,"), "line 2: the byte 0x00 is not UTF-8"),
        (
            changed("b.jpg", '"b.jpg'),
            "line 5: unexpected end of data; check the quotes",
        ),
        (changed("b.jpg", '"b"x'), "line 3: ',' expected .* check the quotes"),
        (changed("1,", "9" * 200_000 + ","), r"line 2: field larger than .*\(131072\)"),
        (changed("1,", '"1\n",'), ""),  # space around a cell does not count
        (changed("1,", '"1\n2",'), r"line 3: pid '1\\n2' holds a control character"),
        (changed("1,train", "1"), "line 2 has 2 cells, the header 3; quote a cell"),
        (changed("1,train", "1,train,"), "line 2 has 4 cells, the header 3"),
        (changed("split", "split,pid"), "has the column pid twice; keep one"),
        (
            ROWS.replace(",", ";").replace("Zoë", "Zoë;"),
            "line 3 has 4 cells, the header 3; quote a cell that holds a semicolon",
        ),
        (ROWS.replace(",", "|"), r"columns path\|pid\|split, .* between commas, semi"),
        ("", "has the columns none, and none that is path or pid or split"),
        (
            changed("a.jpg", "../a.jpg"),
            r"line 2: path '\.\./a\.jpg' must not hold '\.\.'",
        ),
        (
            changed("a.jpg", "/x/../a.jpg"),
            r"line 2: path '/x/\.\./a\.jpg' must not hold",
        ),
        (
            changed("a.jpg", "."),
            r"1 of 4 images of .* not regular files: .* \(a folder\)",
        ),
        (changed("a.jpg", "/dev/zero"), r"not regular files: /dev/zero \(a device\)"),
        (changed("b.jpg", "./a.jpg"), r"line 3: a\.jpg is in line 2 already"),
        (
            changed("1,", "Zoe\u0308,"),
            "pid Zoë of line 3 looks like that of line 2, but",
        ),
    ],
)
def test_what_is_no_manifest_is_named_by_line(content, message, tmp_path):
    root = write_rows(tmp_path, "")
    data = content if isinstance(content, bytes) else content.encode()
    (root / "manifest.csv").write_bytes(data)
    if not message:
        read_records("manifest", root)
        return
    with pytest.raises(ValueError, match=message) as caught:
        read_records("manifest", root)
    assert "manifest.csv" in str(caught.value) and len(str(caught.value)) < 600


def test_a_manifest_beyond_the_limit_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text(ROWS)
    os.truncate(tmp_path / "manifest.csv", 10**12)
    with pytest.raises(ValueError, match=r"000 bytes; at most 67,108,864 are read"):
        read_records("manifest", tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_manifest_that_is_no_file_is_refused(make, tmp_path):
    make(tmp_path / "manifest.csv")
    with pytest.raises(ValueError, match=r"manifest\.csv is not a regular file"):
        read_records("manifest", tmp_path)


@pytest.mark.parametrize(
    "person", ["9" * 5000, "2147483648", "-1", "²", "٣", "\u202e1"]
)
def test_any_text_is_a_person(person, tmp_path):
    root = write_rows(tmp_path, *changed("3,", f"{person},").splitlines())
    records = read_records("manifest", root)
    assert records["query"][0].pid == records["gallery"][0].pid < 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_may_end_in_any_way(end, tmp_path):
    root = write_rows(tmp_path, "")
    (root / "manifest.csv").write_bytes(ROWS.replace("\n", end).encode())
    assert [r.path.name for r in read_records("manifest", root)["train"]] == [
        "a.jpg",
        "b.jpg",
    ]


def test_absolute_paths_and_identifiers_that_look_alike_are_printed(tmp_path, capsys):
    root = write_rows(tmp_path / "data", "")
    layouts.write_image(tmp_path / "far.jpg", 1)
    rows = changed("a.jpg,1", f"{tmp_path}/far.jpg,zoë")
    (root / "manifest.csv").write_text(rows, encoding="utf-8")
    paths = [record.path for record in read_records("manifest", root)["train"]]
    assert sorted(paths) == [root / "b.jpg", tmp_path / "far.jpg"]
    printed = capsys.readouterr().out
    assert f"1 of 4 paths are absolute: {tmp_path}/far.jpg\n" in printed
    assert (
        "pid zoë (line 2) and Zoë (line 3) differ only in case, space or zeros"
        in printed
    )
