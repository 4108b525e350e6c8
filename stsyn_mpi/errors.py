"""Errors that a command turns into one line and an exit code."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_TOO_FEW_WORKERS = 3


class InputError(ValueError):
    """Bad input: one line with the value, what is allowed, and where (exit code 2).

    Names and values in it can come from strangers, with line breaks in them.
    """

    def __init__(self, line: str) -> None:
        super().__init__(" ".join(line.splitlines()))


class RunFailure(RuntimeError):
    """The run itself failed: one line that says why (exit code 1)."""
