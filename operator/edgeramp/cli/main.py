"""The command `edgeramp` (also `kubectl edgeramp`): looks at things, steers Rollouts, generates files."""

from __future__ import annotations

import typer

from edgeramp import __version__
from edgeramp.cli import ask
from edgeramp.cli import convert as convert_command
from edgeramp.cli import crds as crds_command
from edgeramp.cli import evidence as evidence_command
from edgeramp.cli import explain as explain_command
from edgeramp.cli import get as get_command
from edgeramp.cli import keygen as keygen_command
from edgeramp.cli import lineage as lineage_command
from edgeramp.cli import lint as lint_command
from edgeramp.cli import report as report_command
from edgeramp.cli import simulate as simulate_command
from edgeramp.cli import watch as watch_command

app = typer.Typer(name="edgeramp", help=__doc__, no_args_is_help=True, add_completion=False)
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.callback()
def _root() -> None:
    """Keeps a single command from becoming the whole program."""


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command(context_settings=_PASS_ON)
def crds(context: typer.Context) -> None:
    """Write the CRDs (crds/ and the chart's), or check them with --check."""
    raise typer.Exit(crds_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def keygen(context: typer.Context) -> None:
    """Make a signing key and the manifests that put it to use."""
    raise typer.Exit(keygen_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def get(context: typer.Context) -> None:
    """Show EdgeModels with their targets, runs and Rollouts as a tree."""
    raise typer.Exit(get_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def watch(context: typer.Context) -> None:
    """Follow EdgeModels, runs and Rollouts live."""
    raise typer.Exit(watch_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def report(context: typer.Context) -> None:
    """Show an OptimizationRun's candidates with their gates and figures."""
    raise typer.Exit(report_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def explain(context: typer.Context) -> None:
    """Say what the operator would decide for an object now, and why."""
    raise typer.Exit(explain_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def lineage(context: typer.Context) -> None:
    """Show by digests which source, data, run and certificate stand behind what serves."""
    raise typer.Exit(lineage_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def evidence(context: typer.Context) -> None:
    """Print the counts that a Rollout's status keeps, and make its decision again from them."""
    raise typer.Exit(evidence_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def simulate(context: typer.Context) -> None:
    """Play a rollout's strategy against a candidate that behaves as you say."""
    raise typer.Exit(simulate_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def lint(context: typer.Context) -> None:
    """Say offline whether manifests would be accepted, and what in them will not work out."""
    raise typer.Exit(lint_command.main(context.args))


@app.command(context_settings=_PASS_ON)
def convert(context: typer.Context) -> None:
    """Make a Rollout of ours from an Argo Rollout's manifest, and list what has no counterpart."""
    raise typer.Exit(convert_command.main(context.args))


def _order(verb: str, help: str) -> None:
    @app.command(name=verb, help=help, context_settings=_PASS_ON)
    def _given(context: typer.Context) -> None:
        raise typer.Exit(ask.main(verb, context.args))


for _verb, _help in ask.ORDERS.items():
    _order(_verb, _help)


if __name__ == "__main__":
    app()
