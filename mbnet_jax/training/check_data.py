"""The rules across fields of `config.data`: datasets, shares, generated people."""

from collections.abc import Callable, Iterator

from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.configs import people as generator
from mbnet_jax.data.datasets import dataset_spec
from mbnet_jax.data.load import validation_policy
from mbnet_jax.data.parts import check_parts, names_of, parts_of
from mbnet_jax.data.sampler import check_identities
from mbnet_jax.data.shares import check_shares, persons_of_shares
from mbnet_jax.data.splits import number_held_out

_MOST_GENERATED = 1_000_000  # images; some hours


def said(check: Callable, *arguments) -> Iterator[str]:
    """What a check raises, as a line."""
    try:
        check(*arguments)
    except ValueError as error:
        yield str(error)


def data_problems(config: ConfigDict) -> Iterator[str]:
    """What is wrong with `config.data`, a line each."""
    names = names_of(config.data)
    for query in config.eval.report_queries if len(names) > 1 else ():
        if query.partition("/")[0] not in names:
            yield (
                f"eval.report_queries: {query!r} must begin with the name of a dataset "
                f"of data.name, as in {names[0] + '/' + query!r}"
            )
    wrong = [*said(check_parts, config.data)]
    yield from wrong
    for name, part in () if wrong else parts_of(config.data).items():
        if part.name != "synthetic":
            continue
        of = "" if part is config.data else f"of {name}: "
        yield from (of + line for line in _people(part))


def _people(data: ConfigDict) -> Iterator[str]:
    """What is wrong with generated people."""
    if "synthetic" not in data:
        yield (
            "data.name='synthetic' needs the fields of data.synthetic; start from the "
            "config synthetic"
        )
        return
    people = data.synthetic
    wrong = [*schema.problems(people, generator.people(), "data.synthetic.")]
    yield from wrong
    if wrong:
        return
    persons = people.train_identities, people.test_identities
    if sum(persons) > 9999 or not all(persons):
        yield (
            f"data.synthetic.train_identities={people.train_identities} and "
            f"data.synthetic.test_identities={people.test_identities} must be at "
            "least 1, and sum to at most 9,999: a person's number has four digits"
        )
    images = (
        people.train_identities * people.train_images
        + people.test_identities * people.test_images
    )
    images *= people.outfits * people.cameras
    if images > _MOST_GENERATED:
        yield (
            f"the fields of data.synthetic ask for {images:,} images; at most "
            f"{_MOST_GENERATED:,} are generated: make one of them smaller"
        )


def check_people(config: ConfigDict) -> None:
    """Refuses generated people that are too few; other data is not read yet."""
    train, shares = config.train, config.data.get("shares", ())
    known = [_known_people(data) for data in parts_of(config.data).values()]
    if shares:
        persons = train.batch_size // train.images_per_identity
        counts = persons_of_shares(shares, persons)
        enough = [
            count if people is None else people
            for count, people in zip(counts, known, strict=True)
        ]
        check_shares(shares, counts, enough)
    elif None not in known:
        check_identities(train.batch_size, train.images_per_identity, sum(known))


def _known_people(data: ConfigDict) -> int | None:
    """How many people one dataset has to train on; None: it is not read yet."""
    if data.name != "synthetic":
        return None
    count = data.synthetic.train_identities
    if validation_policy(data, dataset_spec(data.name)) == "held_out":
        count -= number_held_out(count, data.validation_fraction)
    return count
