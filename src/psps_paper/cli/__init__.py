"""The command ``psps-paper``, one module for each group of commands."""

LONGEST_MESSAGE = 900  # characters; it may repeat names from a file


def one_line(message: str) -> str:
    """The message of an error on one line, cut where it is longer than anyone reads."""
    line = "; ".join(part.strip().removesuffix(":") for part in message.splitlines())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "\N{HORIZONTAL ELLIPSIS}"
