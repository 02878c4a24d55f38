"""`minewatch run CONFIG`: check the configuration, make it active, keep the house alive."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from minewatch.cli import exit_codes
from minewatch.folder import Folder, default_folder
from minewatch.model.codec import mine_from_json
from minewatch.process import log_to_stderr
from minewatch.supervise import AlreadyRunning, Supervisor


@click.command()
@click.argument("config", type=click.Path(exists=True, path_type=Path))
@click.option("--state", type=click.Path(path_type=Path), help="State folder 状态目录.")
@click.option("--listen", help="Address of the dispatch page, instead of the configured one.")
def run(config: Path, state: Path | None, listen: str | None) -> None:
    """Guard the mine that CONFIG describes: controller, publisher and console. 运行监视."""
    log_to_stderr()
    folder = Folder(state or default_folder())
    try:
        supervisor = Supervisor(folder, listen)
    except AlreadyRunning as error:
        click.echo(f"已有实例在运行 · another house runs here: {error}", err=True)
        sys.exit(exit_codes.NOT_PERMITTED)
    activate(config, folder)  # under the lock: never beneath a house that runs
    stopping: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, _frame: stopping.append(signum))
    supervisor.run(lambda: bool(stopping))


def activate(config: Path, folder: Folder) -> str:
    """Turn `config` into the active canonical mine; leave with the checker's code on faults.

    A short-lived child reads the TOML, so that the supervisor stays small.
    """
    with tempfile.TemporaryDirectory() as scratch:
        canonical = Path(scratch) / "mine.json"
        command = [sys.executable, "-m", "minewatch.mine", str(config), str(canonical)]
        code = subprocess.run(command, check=False).returncode
        if code != exit_codes.OK:
            sys.exit(code)
        return folder.activate(mine_from_json(canonical.read_bytes()))
