"""Protocols: which are used, and who takes part."""

import pytest
from embedded import GOOD, angles, split

from mbnet_jax.data import DATASETS
from mbnet_jax.data.protocols import three_rules
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import (
    check_protocols,
    drawn_protocol,
    participants,
    usable_protocols,
)
from mbnet_jax.evaluation.results import (
    evaluate_protocol,
)
from mbnet_jax.retrieval import RULES

RANKS = (1, 5, 10)


def test_protocols_have_known_rules_and_each_dataset_has_one_to_show():
    for spec in DATASETS.values():
        assert len({p.name for p in spec.protocols}) == len(spec.protocols)
        assert all(p.rule in RULES for p in spec.protocols)
    drawn = {
        name: drawn_protocol(spec.protocols).name for name, spec in DATASETS.items()
    }
    assert drawn == {
        "synthetic": "clothes_changing",
        "manifest": "clothes_changing",
        "ltcc": "clothes_changing",
        "prcc": "clothes_changing_multi_shot",
        "vc_clothes": "clothes_changing",
        "last": "any",
        "deepchange": "same_tracklet_out",
        "celeb_reid": "any",
        "celeb_reid_light": "any",
        "nkup": "general",
        "market1501": "general",
        "msmt17": "general",
        "cuhk03": "general",
        "ccvid": "clothes_changing",
        "mevid": "clothes_changing",
    }


def test_cameras_restrict_queries_and_gallery():
    # The images of the other cameras are the nearest, and must not count.
    test = {
        "query": split([1, 2, 1], [2, 3, 0], [0, 1, 0]),
        "gallery": split([1, 2, 2, 1], [3, 2, 0, 1], [9, 8, 1, 0]),
    }
    embedded = {
        "query": Embedded(test["query"], angles([0, 50, 0])),
        "gallery": Embedded(test["gallery"], angles([10, 20, 0, 0])),
    }
    protocol = DATASETS["vc_clothes"].protocols[2]
    assert participants(protocol, test["query"]).tolist() == [0, 1]
    result = evaluate_protocol(embedded, protocol, RANKS, seed=0)
    # For each query one match, which is the nearer, and one other person.
    assert [m.first_match_rank.tolist() for m in result.per_draw] == [[1, 1]]
    assert len(result.query) == 2
    assert result.values["all"]["mAP"] == 1
    assert result.values["chance"]["rank1"] == 0.5
    everyone = evaluate_protocol(
        embedded, DATASETS["vc_clothes"].protocols[0], RANKS, seed=0
    )
    assert everyone.per_draw[0].first_match_rank.tolist() == [2, 1, 2]
    assert everyone.per_draw[0].average_precision[0] == pytest.approx(
        (1 / 2 + 2 / 3) / 2
    )


def test_rules_whose_labels_are_missing_are_left_out_and_named():
    known = split([1, 2], [0, 1], [0, 1])
    gallery = split([1, 2], [1, 0], [0, 2])
    protocols, notes = usable_protocols(
        three_rules(), {"query": known, "gallery": gallery}
    )
    assert [p.name for p in protocols] == [
        "general",
        "same_clothes",
        "clothes_changing",
    ]
    assert notes == [
        "same-clothes: 1 of 2 queries have no true match in the gallery and are left "
        "out of the means",
        "clothes-changing: 1 of 2 queries have no true match in the gallery and are "
        "left out of the means",
    ]
    no_clothes = split([1, 2], [1, 0], [-1, -1])
    protocols, notes = usable_protocols(
        three_rules(), {"query": known, "gallery": no_clothes}
    )
    assert [p.name for p in protocols] == ["general"]
    assert notes == [
        "same-clothes is left out: no clothes labels",
        "clothes-changing is left out: no clothes labels",
    ]
    nothing = split([1, 2], [-1, -1], [-1, -1])
    protocols, notes = usable_protocols(
        three_rules(), {"query": nothing, "gallery": nothing}
    )
    assert [p.name for p in protocols] == ["any"]
    assert "clothes-changing is left out: no camera and no clothes labels" in notes
    assert notes[-1].startswith("any: every gallery image of the query's person")


@pytest.mark.parametrize(
    ("protocols", "message"),
    [
        ((), r"needs protocols with different names, got \[\]"),
        ((GOOD, GOOD), r"different names, got \['mine', 'mine'\]"),
        (("mine",), "'mine' must be a Protocol"),
        ((GOOD._replace(name=5),), "must be a Protocol with a name"),
        (
            (GOOD._replace(gallery="galery"),),
            r"'mine': gallery='galery' must be one of .* \['gallery', 'query'\]",
        ),
        ((GOOD._replace(query=None),), "'mine': query=None must be one of"),
        ((GOOD._replace(rule="strict"),), "'mine': rule 'strict' is unknown; choose"),
        ((GOOD._replace(cameras=3),), "'mine': cameras=3 must be a tuple"),
        ((GOOD._replace(cameras=("1",)),), "'mine': cameras=.* of whole numbers"),
        ((GOOD._replace(draws=-1),), "'mine': draws=-1 must be a whole number"),
        ((GOOD._replace(draws=10**9),), "from 0 to 10000"),
        ((GOOD._replace(draws=True),), "'mine': draws=True must be"),
    ],
)
def test_protocols_are_checked_by_name(protocols, message):
    check_protocols([GOOD], ("query", "gallery"))
    with pytest.raises(ValueError, match=message):
        check_protocols(protocols, ("query", "gallery"))


def test_protocols_whose_cameras_have_no_image_are_left_out():
    test = {"query": split([1], [0], [0]), "gallery": split([1, 2], [1, 2], [0, 1])}
    theirs = GOOD._replace(cameras=(1, 2))
    usable, notes = usable_protocols((GOOD, theirs._replace(name="theirs")), test)
    assert usable == (GOOD,)
    assert notes == ["theirs is left out: no query image is from its cameras 2, 3"]
    # Cameras can only be selected where they are labelled.
    test["query"] = split([1], [-1], [0])
    usable, notes = usable_protocols((theirs._replace(rule="any"),), test)
    assert [p.name for p in usable] == ["any"]
    assert notes[0] == "mine is left out: no camera labels"
    test["gallery"] = split([], [], [])
    with pytest.raises(ValueError, match="test split 'gallery' has no images"):
        usable_protocols((GOOD,), test)


def test_the_lists_of_drawn_galleries_are_shown_if_there_are_no_others():
    drawn = [GOOD._replace(name=str(draws), draws=draws) for draws in (1, 2)]
    assert drawn_protocol(drawn) == drawn[1]
