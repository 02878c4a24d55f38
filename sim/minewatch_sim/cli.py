"""`minewatch-sim`: the mine emulator alone, and the proxy; they print addresses and live on."""

import asyncio
import contextlib
import json
import signal
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from minewatch.mine import load
from minewatch.model.mine import Mine
from minewatch_sim.control import Control
from minewatch_sim.endpoints import Endpoints
from minewatch_sim.plant import Plant
from minewatch_sim.proxy_cli import proxy
from minewatch_sim.render import write_config
from minewatch_sim.scenario import Scenario, ScenarioError, scenario_names

CONFIGURATION_FAULT = 78


@click.group()
def main() -> None:
    """Run a simulated mine 模拟矿井, or bend the wire to one 故障注入."""


main.add_command(proxy)


@main.command()
@click.argument("scenario")
@click.option("--config", type=Path, default=Path("config/demo-mine"), show_default=True)
@click.option("--speed", type=click.FloatRange(0, 1000), default=1.0, show_default=True)
@click.option("--seconds", type=click.FloatRange(0), help="stop after this time")
@click.option("--render", type=Path, help="write a configuration with the endpoints in it here")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--control", help="control socket: a path or host:port")
@click.option("--json", "as_json", is_flag=True, help="print the endpoints as one line of JSON")
def run(
    *,
    scenario: str,
    config: Path,
    speed: float,
    seconds: float | None,
    render: Path | None,
    seed: int,
    control: str | None,
    as_json: bool,
) -> None:
    """Run SCENARIO (a name or a file) on a configuration, by default the demo mine's."""
    try:
        story = Scenario.load(scenario)
        plant = Plant(_load_mine(config), seed, story)
    except ScenarioError as error:
        click.echo(str(error), err=True)
        raise SystemExit(CONFIGURATION_FAULT) from error
    endpoints = Endpoints(plant.mine, plant, speed=speed)
    asyncio.run(
        _serve(
            endpoints,
            config=config,
            render=render,
            control=control,
            seconds=seconds,
            as_json=as_json,
        )
    )


@main.command()
def scenarios() -> None:
    """List the scenarios that come with the simulator."""
    for name in scenario_names():
        story = Scenario.load(name)
        click.echo(f"{name:16} {story.title_zh}  {story.title_en}")


def _load_mine(config: Path) -> Mine:
    loaded = load(config)
    if loaded.mine is None:
        said = (f"{each.file}:{each.line}: {each.key}: {each.code}" for each in loaded.faults)
        raise ScenarioError("\n".join(said))
    return loaded.mine


async def _serve(
    endpoints: Endpoints,
    *,
    config: Path,
    render: Path | None,
    control: str | None,
    seconds: float | None,
    as_json: bool,
) -> None:
    desk = Control(endpoints)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, desk.stopped.set)
    async with endpoints:
        addresses = endpoints.addresses()
        place = await desk.listen(control) if control else ""
        if render is not None:
            write_config(config, render, addresses, pace=endpoints.plant.scenario.habits.pace)
        _print(endpoints.plant.mine, addresses, place, as_json)
        stopping = asyncio.create_task(desk.stopped.wait())
        living = asyncio.create_task(endpoints.run())
        await asyncio.wait({stopping, living}, timeout=seconds, return_when="FIRST_COMPLETED")
        failed = living.done() and not living.cancelled()
        for task in (stopping, living):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            if failed:
                await living
        await desk.close()


def _print(mine: Mine, addresses: dict[str, str], control: str, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"endpoints": addresses, "control": control}))
        return
    table = Table(title=f"{mine.name}: {len(mine.points)} points")
    for column in ("bus", "address", "devices"):
        table.add_column(column)
    for bus_id, url in addresses.items():
        table.add_row(bus_id, url, str(sum(d.bus == bus_id for d in mine.devices)))
    console = Console()
    console.print(table)
    if control:
        console.print(f"control: {control}")


if __name__ == "__main__":
    main()
