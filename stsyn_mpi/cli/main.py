"""The command ``stsyn-mpi``: finds subcommands, turns errors into lines and codes."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from stsyn_mpi._version import __version__
from stsyn_mpi.errors import (
    EXIT_BAD_INPUT,
    EXIT_DONE,
    EXIT_FAILED,
    InputError,
    RunFailure,
)
from stsyn_mpi.refusal import refuse

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
COMMANDS = {
    "train": "Train a model on MPI ranks.",
    "data": "Prepare, inspect and verify data files.",
    "simulate": "Train under a virtual clock, in one process.",
    "compare": "Compare schemes on the same data, seeds and delays.",
    "predict": "Predict rounds of all schemes from the law of update times.",
    "tune": "Recommend a scheme, K and U for the machine of a run.",
    "report": "Summarise and plot a run file.",
    "watch": "Follow a run that goes on.",
    "export": "Write a run file as CSV, Parquet, JSON or trace events.",
    "recover": "Make the file of a killed run open in every tool.",
    "job": "Write a batch script for PBS or Slurm.",
    "doctor": "Look whether this machine is fit for a run.",
    "bench": "Measure overhead, idle CPU and start-up on this machine.",
}
"""Name, module (``stsyn_mpi.cli.NAME``) and object of each command, with its line.

The lines stand here so that ``--help`` imports no command.
"""


class LazyGroup(click.Group):
    """A group that imports a command only when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return a command."""
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"stsyn_mpi.cli.{name}")
        command: click.Command = getattr(module, name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments, or name the nearest."""
        from stsyn_mpi.spec import choose

        choose(args[0], COMMANDS, "command")
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="stsyn-mpi")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Local SGD on MPI ranks that does not wait for stragglers (STSyn)."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Bad input gives one line on stderr and 2, a failed run one line and 1.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        # Ranks are started with the same arguments, so commands get them as they are.
        result = cli.main(
            list(given), prog_name="stsyn-mpi", standalone_mode=False, obj=given
        )
        sys.stdout.flush()
    except InputError as error:
        return refuse(str(error), EXIT_BAD_INPUT)
    except click.ClickException as error:
        return refuse(error.format_message(), EXIT_BAD_INPUT)
    except RunFailure as error:
        return refuse(str(error), EXIT_FAILED)
    except OSError as error:
        if error.errno not in _OUTPUT_ERRORS or error.filename is not None:
            raise
        # What is still in the buffer would fail again when Python leaves.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        reason = error.strerror or error
        return refuse(f"cannot write to standard output: {reason}", EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        return refuse("interrupted", EXIT_FAILED)
    return result if isinstance(result, int) else EXIT_DONE
