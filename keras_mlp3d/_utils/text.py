"""Text from outside, made safe for a terminal or a picture."""


def one_line(text: object) -> str:
    """Returns text as one line of printable characters.

    Each run of white space and of characters that cannot be printed, such as those that steer a
    terminal, becomes one space.

    Example:

    >>> one_line("run\\x1b[2J \\n fast")
    'run [2J fast'
    """
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
