"""The command group. An error ends it with one line on stderr and an exit code.

Exit codes: 0 done, 1 failed at run time, 2 bad usage or input, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import NoReturn

import click

from keras_vae.errors import nearest

from .huge_pages import start_again_with_huge_pages

COMMANDS = (
    "train",
    "evaluate",
    "reconstruct",
    "sample",
    "interpolate",
    "encode",
    "neighbours",
    "explore",
    "score",
    "fit-prior",
    "export",
    "verify",
    "convert",
    "compare",
    "experiment",
    "to-tfrecord",
    "presets",
    "doctor",
)


class _CommandGroup(click.Group):
    """Imports the module of a subcommand when it is used. These modules import TensorFlow only when they run."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f".{name.replace('-', '_')}", __package__).command
        return command

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve as Click does; the error for an unknown name suggests the nearest one."""
        name = args[0]
        if not name.startswith("-") and name not in COMMANDS:
            near = nearest(name, COMMANDS)
            hint = f"Did you mean {near}?" if near else f"Commands are {', '.join(COMMANDS)}."
            raise click.UsageError(f"No such command {name!r:.60}. {hint}")
        return super().resolve_command(context, args)


@click.group(cls=_CommandGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="keras-vae", prog_name="keras-vae")
def cli(debug: bool) -> None:
    """Variational autoencoders for images: train, inspect, sample, export.

    \b
    Start with:
      keras-vae train --latent 2
      keras-vae evaluate runs/mnist-latent2
      keras-vae sample runs/mnist-latent2
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    # TensorFlow's log lines are not for users of this command; its errors are exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Training uses Keras's TensorFlow trainer.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if "--debug" in sys.argv[1:]:
        sys.argv.remove("--debug")
        sys.argv.insert(1, "--debug")
    if {"train", "experiment"} & set(sys.argv[1:3]):
        start_again_with_huge_pages()
    sys.exit(_run("--debug" in sys.argv[1:2]))


def _run(debug: bool) -> int:
    from keras_vae.errors import BatchJobError, ExportError, InputError, TrainingError, TrainingStoppedError

    try:
        code = cli.main(prog_name="keras-vae", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 2
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        message = error.format_message()
        # The message about a wrong value says what is right. A missing or superfluous word needs the help.
        is_wrong_value = isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter)
        if context and not is_wrong_value and "Did you mean" not in message:
            message = f"{message.rstrip('.')}. See {context.command_path} --help."
        return _fail(message, 2)
    except InputError as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), 2)
    except TrainingStoppedError as error:
        return _fail(str(error), 128 + error.signal_number)
    except (BatchJobError, ExportError, TrainingError) as error:
        if debug:
            traceback.print_exc()
        return _fail(str(error), 1)
    except (KeyboardInterrupt, click.Abort):
        return _fail("interrupted", 130)
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error} (--debug shows where)", 1)


def _fail(message: str, code: int) -> int:
    print(f"keras-vae: {' '.join(message.split())}", file=sys.stderr)
    return code
