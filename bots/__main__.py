"""The `limen` command. Each subcommand is a module in `commands/`, imported when it is called: a bot starts fast."""

import importlib
import os
import sys
import tempfile
import traceback
from difflib import get_close_matches
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from bots import envfile
from bots.collisions import foreign
from bots.version import version
from core.errors import LimenError

COMMANDS = {
    "chat": "talk to a persona in this terminal",
    "setup": "make a bot on Discord, Telegram or Slack, step by step",
    "run": "let a persona live on Discord, Telegram and Slack",
    "personas": "list the characters there are",
    "persona": "check a card, show one, make a new one",
    "up": "start Redis and a worker for this home",
    "down": "stop them",
    "status": "queue, worker, model and memory at a glance",
    "doctor": "what is missing, and the exact next step",
    "models": "models at hand, and bigger ones this machine could hold",
    "generate": "answer a file of prompts as a persona",
    "lora": "which LoRA a persona speaks with: list, add, try, roll back",
    "memory": "what a persona remembers: add, search, list, delete, reflect",
    "night": "let personas learn from reactions; what nights found",
    "feedback": "bring ratings in from a file, take the ledger out",
    "deadletters": "jobs that failed for good: list them, try them again",
    "export": "all that is kept of a person, as JSON",
    "forget": "erase a person",
    "worker": "run a worker in the foreground",
}


class Lazy(click.Group):
    """Subcommands by name from `bots.commands`, with their one-line help at hand without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"bots.commands.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Say what was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f" Did you mean `limen {near[0]}`?" if near else " `limen --help` lists them."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, without importing any, and the options."""
        there = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return there + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _tell_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"limen {version()}")
        ctx.exit()


COMPLETION = """\
Let your shell complete commands and the names of personas:

\b
bash   eval "$(_LIMEN_COMPLETE=bash_source limen)"    in ~/.bashrc
zsh    eval "$(_LIMEN_COMPLETE=zsh_source limen)"     in ~/.zshrc
fish   _LIMEN_COMPLETE=fish_source limen | source    in config.fish"""


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]}, epilog=COMPLETION)
@click.option(
    "--home", type=click.Path(path_type=Path, file_okay=False), envvar="LIMEN_HOME", show_envvar=True,
    help="Where all state is kept: ~/.limen, unless this names another folder.",
)  # fmt: skip
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), envvar="LIMEN_CONFIG", show_envvar=True,
    help="The limen.yaml to read.",
)  # fmt: skip
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_tell_version, help="Say which one."
)
@click.pass_context
def limen(ctx: click.Context, home: Path | None, config: Path | None) -> None:
    """Characters that live in your chats, and grow with the people who talk to them."""
    ctx.obj = {"home": home, "config": config}


def main() -> None:
    """What the console script calls: errors of ours become a message, the next step and a status, never a traceback."""
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Carry out a command line. 0: done; 1: it could not be done; 2: it was not understood; 130: interrupted."""
    if clash := foreign():
        click.echo(clash, err=True)
        return 1
    try:
        envfile.load(os.environ)
        result = limen.main(args, prog_name="limen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except LimenError as error:
        complain(error)
        return 1
    except BrokenPipeError:  # the reader of our output has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a disk that is full, a folder that may not be read: nothing that code can mend
        complain(LimenError(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"))
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # a fault of ours: the one place that catches everything
        complain(LimenError(f"a fault in limen itself ({type(error).__name__}: {error})", f"please report {_noted()}"))
        return 1


def _noted() -> str:
    """The file into which the traceback was written."""
    descriptor, name = tempfile.mkstemp(prefix="limen-fault-", suffix=".txt")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(traceback.format_exc())
    return name


def complain(error: LimenError) -> None:
    """An error for people: what happened, and what to do."""
    click.secho(f"limen: {error}", fg="red", err=True)
    if error.hint:
        click.echo(f"  → {error.hint}", err=True)


if __name__ == "__main__":
    main()
