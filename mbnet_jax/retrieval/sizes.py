"""Rows of a block: few sizes, since each is compiled for."""

# Most rows of a block, and most bytes of a gallery block: two of these are copied to
# in turn. Smaller ones have to be started too often.
QUERY_ROWS, GALLERY_ROWS, GALLERY_BYTES = 512, 2048, 16 << 20
LEAST_ROWS = 64


def power_of_two(number: int, least: int = 1) -> int:
    """The least power of two that is not below `number` and `least`.

    Few sizes mean few compilations.
    """
    return max(least, 1 << (max(number, 1) - 1).bit_length())


def query_rows(num_queries: int, most: int | None) -> int:
    """Rows of a query block."""
    return min(power_of_two(num_queries, 8), power_of_two(most or QUERY_ROWS, 8))


def gallery_rows(num_gallery: int, width: int, most: int | None) -> int:
    """Rows of a gallery block; not a function of the number of devices."""
    if most is None:
        fitting = GALLERY_BYTES // (4 * width)
        most = min(GALLERY_ROWS, 1 << max(fitting.bit_length() - 1, 0))
    most = power_of_two(most, LEAST_ROWS)
    if num_gallery <= most:
        return power_of_two(num_gallery, LEAST_ROWS)
    # Blocks of like size: the last is not to repeat half of the one before it.
    even = -(-num_gallery // -(-num_gallery // most))
    step = max(most // 8, LEAST_ROWS)
    return -(-even // step) * step
