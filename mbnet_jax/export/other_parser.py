"""A network with the image parser of another one."""

from mbnet_jax.runs.network import IMAGE_PARSER, Network


def with_parser_of(network: Network, other: Network, source: str) -> Network:
    """The network with another one's image parser, of any size.

    Branches only read its maps, or images that it masks, so one that was trained
    longer, or on better maps, replaces it without another training. It reads the same
    normalised image.

    Args:
      network: whose config and other modules are kept.
      other: whose image parser is taken.
      source: names `other` in errors.

    Raises:
      ValueError: if one of them has no image parser.
    """
    for given, each in (("--model", network), (f"--image-parser={source}", other)):
        if IMAGE_PARSER not in each.variables["params"]:
            raise ValueError(
                f"{given} predicts no parsing maps from the image, so no image parser "
                "can be exchanged; give a network with model.parser_image=True"
            )
    # A network of an earlier version has the only size that there was.
    size = other.config.model.get("parser_size", "small")
    config = network.config.copy_and_resolve_references()
    with config.unlocked():
        config.model.parser_size = size
    variables = {
        kind: {**of, IMAGE_PARSER: other.variables[kind][IMAGE_PARSER]}
        for kind, of in network.variables.items()
    }
    return network._replace(
        config=config,
        model=network.model.clone(parser_size=size),
        variables=variables,
    )
