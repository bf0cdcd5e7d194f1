"""The command ``psps-paper``, one module for each group of commands."""

LONGEST_MESSAGE = 900  # characters; a message may quote long names from a file


def one_line(message: str) -> str:
    """Put an error message on one line, and shorten it if it is very long."""
    line = "; ".join(part.strip().removesuffix(":") for part in message.splitlines())
    return line if len(line) <= LONGEST_MESSAGE else line[: LONGEST_MESSAGE - 1] + "\N{HORIZONTAL ELLIPSIS}"
