"""What `mbnet-init` reads in names: patterns, guesses, and who is tested on."""

import itertools

import pytest

from mbnet_jax.own_images.divide import divide
from mbnet_jax.own_images.guess import guess_pattern
from mbnet_jax.own_images.pattern import Labels, Pattern

PEOPLE = ("Ana", "Ben", "Cy", "Dora", "Eva", "Finn")
JAPANESE = ("田中", "鈴木", "佐藤", "高橋")
NUMBERS = range(2, 40, 3)


def named(form, *columns):
    """Names of every combination of the columns' values; {n} is the image's number."""
    rows = itertools.product(*columns)
    return [form.format(*row, n=n) for n, row in enumerate(rows, start=1)]


STYLES = [
    # a folder for each person
    (named("{0}/{1:03}.jpg", PEOPLE, range(8)), "{person}/*", ("Ana", "", "")),
    (named("{0}/IMG_2024050{1}_{n:06}.JPG", PEOPLE, range(1, 8)), "{person}/*", None),
    (named("person {0}/photo {1}.jpg", range(7), range(5)), "{person}/*", None),
    (
        named("{0}/outfit {1}/{2}.jpg", PEOPLE, range(3), range(3)),
        "{person}/{clothes}/*",
        ("Ana", "", "outfit 0"),
    ),
    (
        named("{0}/{1}{0}/{2}.jpg", PEOPLE, ("sari", "toga"), range(3)),
        "{person}/{clothes}/*",
        ("Ana", "", "sariAna"),
    ),
    (
        named("{0}/cam{1}/{2}.jpg", PEOPLE, range(3), range(3)),
        "{person}/{camera}/*",
        ("Ana", "cam0", ""),
    ),
    (
        named("{0}/{1}/{2}_{3}.jpg", PEOPLE, ("red", "blue"), ("door", "gate"), "12"),
        "{person}/{clothes}/{camera}_#",
        ("Ana", "door", "red"),
    ),
    (
        named("{0}_{1}/{2}_{3}.jpg", PEOPLE, ("red", "blue"), "ab", range(3)),
        "{person}_{clothes}/{camera}_#",
        ("Ana", "a", "red"),
    ),
    # a folder for each camera
    (
        named("{0}/{1}_{2}.jpg", ("door", "gate", "yard"), PEOPLE, range(4)),
        "{camera}/{person}_#",
        ("Ana", "door", ""),
    ),
    (
        named("2024-05-0{0}/{1}_{2}.jpg", range(1, 4), PEOPLE, range(6)),
        "{clothes}/{person}_#",
        ("Ana", "", "2024-05-01"),
    ),
    # names as in published datasets
    (
        named("{0:04}_c{1}s{2}_{n:06}_0{3}.jpg", NUMBERS, "123", "12", "12"),
        "{person}_c{camera}s*",
        ("0002", "1", ""),
    ),
    (
        named("{0:03}_{1}_c{2}_{n:06}.png", NUMBERS, "12", "147", "12"),
        "{person}_{clothes}_c{camera}_#",
        ("002", "1", "1"),
    ),
    (
        named("{0:03}/{1}_cropped_rgb{2:03}.jpg", NUMBERS, "ABC", range(4)),
        "{person}/{camera}_*",
        ("002", "A", ""),
    ),
    (
        named("{0:04}-0{1}-0{2}-0{3}.jpg", NUMBERS, "1234", "12", "123"),
        "{person}-{camera}-{clothes}-#",
        ("0002", "1", "1"),
    ),
    (
        named("{0}_c{1}_o{2}_{3}.jpg", PEOPLE, "123", "12", "12"),
        "{person}_c{camera}_o{clothes}_#",
        ("Ana", "1", "1"),
    ),
    # all in one folder
    (
        named("{0}-{1}-{2}.jpg", PEOPLE, ("door", "gate"), range(4)),
        "{person}-{camera}-#",
        ("Ana", "door", ""),
    ),
    (named("{0} {1}.jpg", PEOPLE, range(5)), "{person} #", ("Ana", "", "")),
    (named("{0} ({1}).jpg", PEOPLE, range(5)), "{person} (#)", ("Ana", "", "")),
    (named("{0}{1}.jpg", ("ana", "ben"), range(5)), "{person}#", ("ana", "", "")),
    # other scripts
    (
        named(
            "{0}/{1}/{2}_{3}.jpg",
            JAPANESE,
            ("赤い服", "青い服"),
            ("入口", "出口"),
            "12",
        ),
        "{person}/{clothes}/{camera}_#",
        ("田中", "入口", "赤い服"),
    ),
    (
        named("{0}/カメラ{1}/{2}.jpg", JAPANESE, "12", range(2)),
        "{person}/{camera}/*",
        ("田中", "カメラ1", ""),
    ),
]


@pytest.mark.parametrize(("names", "text", "first"), STYLES)
def test_patterns_are_guessed(names, text, first):
    names = sorted(names)
    pattern = guess_pattern(names).pattern
    assert pattern.text == text
    assert None not in map(pattern.match, names)
    if first is not None:
        read = [pattern.match(name) for name in names]
        assert first in [
            (r.person, r.camera.lstrip("0"), r.clothes.lstrip("0")) for r in read
        ]


def test_folders_around_and_loose_images_do_not_matter():
    names = STYLES[10][0]
    split = [
        f"bounding_box_{('train', 'test')[n % 2]}/{x}" for n, x in enumerate(names)
    ]
    assert guess_pattern(split).pattern.text == "*/{person}_c{camera}s*"
    deep = named("{0}/{1}/{2}.jpg", PEOPLE, "ab", range(3)) + named(
        "{0}/{1}.jpg", PEOPLE, "123"
    )
    assert guess_pattern(deep).pattern.text == "{person}/**"
    loose = [*STYLES[6][0], "cover.jpg", "Ana/portrait.jpg"]
    assert guess_pattern(loose).pattern.text == "{person}/{clothes}/{camera}_#"


def test_other_patterns_are_shown_where_names_do_not_decide():
    names = named("{0}/{1}/{2}.jpg", PEOPLE, "123", range(3))
    guess = guess_pattern(names)
    assert guess.pattern.text == "{person}/{camera}/*"
    assert "{person}/{clothes}/*" in [other.text for other in guess.others]
    assert not guess_pattern(STYLES[6][0]).others


@pytest.mark.parametrize("form", ["IMG_{0}.jpg", "{0:x}.jpg", "a/{0:08}.png"])
def test_names_without_persons_are_shown(form):
    names = [form.format(n * 7919) for n in range(60)]
    with pytest.raises(ValueError, match=r"no part of the names .*: .*, .* --pattern"):
        guess_pattern(names)


@pytest.mark.parametrize(
    ("text", "name", "labels"),
    [
        ("{person}_c{camera}_*.jpg", "ana_c3_17.PNG", ("ana", "3", "")),
        ("./**/{person}/*", "a/b/ana/1.jpg", ("ana", "", "")),
        ("**/{person}/*", "ana/1.jpg", ("ana", "", "")),
        ("{person}/{person}_{camera}", "ana/ana_2.jpg", ("ana", "2", "")),
        ("{person}/{person}_{camera}", "ana/ben_2.jpg", None),
        ("{person}-{camera}-#", "Ana-Maria-door-3.jpg", None),
        ("{person}#", "Ana12.jpg", ("Ana", "", "")),
        ("{person}/*", "a/b/1.jpg", None),
        ("{person} /*", "a  /1.jpg", None),
        ("{person}/*", "Zoe\u0308/1.jpg", ("Zoë", "", "")),
        ("(a)[{person}]+", "(a)[x]+.gif", ("x", "", "")),
    ],
)
def test_patterns_read_names(text, name, labels):
    assert Pattern(text).match(name) == (labels and Labels(*labels))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{camera}/*", r"has no \{person\}"),
        ("{pid}/*", r"\{pid\} is unknown; nearest known: "),
        ("{person}*", r"after \{person\} there must be a character that ends it"),
        ("{person}{camera}", r"after \{person\} there must be"),
        ("{person/*", "'{' has no partner"),
        ("", r"has no \{person\}"),
        ("{person}" + "a" * 400, "408 characters; at most 300"),
    ],
)
def test_patterns_that_cannot_be_used_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        Pattern(text)


def labelled(form, *columns):
    pattern = guess_pattern(names := sorted(named(form, *columns))).pattern
    return {name: pattern.match(name) for name in names}


def test_persons_are_divided_with_a_match_for_each_test_person():
    labels = labelled(
        "{0}/{1}/{2}_{3}.jpg", PEOPLE, ("red", "blue"), ("door", "gate"), range(2)
    )
    division = divide(labels, 1 / 3, 0)
    assert division == divide(dict(reversed(labels.items())), 1 / 3, 0)
    assert division.rule == "clothes_changing" and not division.single
    sides = {split: set() for split in ("train", "query", "gallery")}
    for name, split in division.splits.items():
        sides[split].add(labels[name].person)
    assert sides["query"] == sides["gallery"] and len(sides["query"]) == 2
    assert not sides["train"] & sides["query"]
    queries = [labels[n] for n, split in division.splits.items() if split == "query"]
    assert len(queries) == len({*queries}) == 2 * 2 * 2  # one of each camera and outfit
    draws = {tuple(divide(labels, 1 / 3, seed).splits.values()) for seed in range(9)}
    assert len(draws) > 3


def test_few_images_still_give_each_test_person_a_match():
    # Each camera has one image of a person.
    labels = labelled("{0}/{1}.jpg", PEOPLE, ("door", "gate"))
    division = divide(labels, 0.5, 1)
    assert division.rule == "general"
    for person in {
        labels[n].person for n, s in division.splits.items() if s != "train"
    }:
        own = [s for n, s in division.splits.items() if labels[n].person == person]
        assert sorted(own) == ["gallery", "query"]


def test_persons_with_one_image_are_trained_on():
    labels = labelled("{0}/{1}.jpg", PEOPLE[:5], range(3)) | {
        "Finn/1.jpg": Labels("Finn")
    }
    division = divide(labels, 0.9, 0)
    assert division.single == ["Finn"] and division.rule == "any"
    assert division.splits["Finn/1.jpg"] == "train"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (["a/1", "a/2"], "1 person in 2 images.* mbnet-search"),
        (["a/1", "a/2", "b/1", "c/1"], "3 persons in 4 images"),
        (["a/1", "b/1", "c/1", "d/1", "d/2"], "only 1 of 4 persons have two images"),
    ],
)
def test_too_few_persons_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        divide({name: Labels(name[0]) for name in images}, 0.3, 0)
