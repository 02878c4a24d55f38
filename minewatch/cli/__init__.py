"""The command line: one small module per family of verbs, loaded only when its verb is called."""

import difflib
import importlib

import click

VERBS: dict[str, str] = {
    "check": "minewatch.cli.check:check",
    "demo": "minewatch.cli.demo:demo",
    "run": "minewatch.cli.run:run",
    "status": "minewatch.cli.look:status",
    "alarms": "minewatch.cli.look:alarms",
    "people": "minewatch.cli.look:people",
    "watch": "minewatch.cli.look:watch",
    "ack": "minewatch.cli.act:ack",
    "silence": "minewatch.cli.act:silence",
    "unshelve": "minewatch.cli.act:unshelve",
    "withdraw": "minewatch.cli.act:withdraw",
    "calibrate": "minewatch.cli.look_acts:calibrate",
    "notice": "minewatch.cli.look_acts:notice",
    "bypass": "minewatch.cli.look_acts:bypass",
    "bus": "minewatch.cli.bus:bus",
    "device": "minewatch.cli.device:device",
    "verify": "minewatch.cli.record:verify",
    "replay": "minewatch.cli.record:replay",
    "observe": "minewatch.cli.observe:observe",
}


class Verbs(click.Group):
    """A group that imports a verb's module when the verb is asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the verb's command, or None for a verb that does not exist or is close to none."""
        if cmd_name not in VERBS:
            close = difflib.get_close_matches(cmd_name, VERBS, 1)
            if close and not ctx.resilient_parsing:
                ctx.fail(f"No such command {cmd_name!r}. Did you mean {close[0]!r}?")
            return None
        module, _, attribute = VERBS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.command(cls=Verbs)
@click.version_option(package_name="minewatch")
def main() -> None:
    """Watch a mine: gas, people, cut-off and a record nobody can alter unseen. 矿井独立监视."""
