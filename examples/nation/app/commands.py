"""Commands beside the running box, whose broker ONEBOX_BROKER names.

    flask --app app economy-report
    flask --app app reprice-markets
"""
import click
from flask import Blueprint

from . import tasks

commands = Blueprint("commands", __name__, cli_group=None)

REPORT_SECONDS = 600


@commands.cli.command("economy-report")
def economy_report():
    """Write it, and say where it is."""
    click.echo(tasks.economy_report().get(timeout=REPORT_SECONDS))


@commands.cli.command("reprice-markets")
def reprice_markets():
    """Set all prices, and say how far that has come."""
    work = tasks.reprice_markets.delay()
    while not work.ready():
        try:
            work.get(timeout=1)
        except TimeoutError:
            click.echo(f"{work.progress or 0:.0%}")
    click.echo(f"{work.get()} prices")
