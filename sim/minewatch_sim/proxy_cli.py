"""`minewatch-sim proxy`: stands between a master and what it asks, with faults; counts live."""

import asyncio
import json
import random
import signal
import time
from collections import Counter

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from minewatch_sim.faults import Fault, Faults
from minewatch_sim.proxy_plan import Plan, parse_fault
from minewatch_sim.proxy_runner import ProxyServer

TICK_S = 0.1
USAGE_FAULT = 2
FAULT_HELP = "name=share[,delay_ms=][,unit=][,code=][,every_s=,for_s=] 故障, may be repeated."

WORDS = {
    Fault.MUTE: ("不应答", "no answer comes"),
    Fault.DROP: ("应答丢失", "the answer is lost"),
    Fault.LATE: ("应答迟到 delay_ms", "the answer comes delay_ms later"),
    Fault.DUPLICATED: ("应答重复", "the answer comes again delay_ms later"),
    Fault.ONE_BEHIND: ("应答错后一拍", "each question gets the answer of the one before"),
    Fault.SPLIT: ("应答分成几段", "the answer comes in pieces, delay_ms apart"),
    Fault.HALVES: ("应答断成两段，逐字节移位", "two parts, cut at each byte in turn"),
    Fault.TRUNCATED: ("应答截尾", "the last bytes are missing"),
    Fault.WRONG_UNIT: ("站号错", "another unit's number"),
    Fault.WRONG_FUNCTION: ("功能码错", "another function"),
    Fault.WRONG_COUNT: ("数量错", "another number of registers"),
    Fault.WRONG_TRANSACTION: ("事务号错", "another transaction; on RTU a wrong checksum"),
    Fault.ZERO_TRANSACTION: ("事务号为零", "transaction 0"),
    Fault.NOISE: ("应答前有噪声", "noise before the answer"),
    Fault.NOISE_AFTER: ("应答后有噪声", "noise after the answer"),
    Fault.CORRUPT: ("一位翻转", "one bit is flipped"),
    Fault.MANGLED: ("全部乱码", "every byte is random"),
    Fault.FORGED: ("数据翻转而校验正确", "a flipped value, checksum right again"),
    Fault.ECHO: ("适配器回送问帧", "the adapter echoes the question"),
    Fault.FLOOD: ("噪声洪水", "noise without end"),
    Fault.EXCEPTION: ("异常应答 code", "exception code"),
    Fault.ECHO_OPPOSITE: ("写线圈回应相反", "a coil's echo says the opposite"),
    Fault.REBOOT: ("网关重启，拒绝连接", "no connection is taken"),
    Fault.ACCEPT_THEN_CLOSE: ("接受后即关闭", "accepted and closed at once"),
    Fault.UNPLUGGED: ("适配器拔出", "the adapter is gone, its path too"),
    Fault.RENUMBERED: ("适配器换号 --other", "the path leads to --other"),
    Fault.SECOND_MASTER: ("另一主站在问", "another master asks"),
    Fault.SECOND_WRITER: ("另一主站在写线圈", "another master writes coils"),
}


@click.command()
@click.option("--listen", help="Where masters connect 主站接入: tcp:// rtu+tcp:// rtu:///path.")
@click.option("--to", help="What they ask 被问的一侧: tcp:// rtu+tcp:// rtu:///dev/….")
@click.option("--other", default="", help="Port of the renumbered adapter 换号后的端口.")
@click.option("--fault", "texts", multiple=True, help=FAULT_HELP)
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same faults 种子.")
@click.option("--seconds", type=click.FloatRange(0.1), help="Stop after so long 运行秒数.")
@click.option("--list", "listing", is_flag=True, help="List the faults 列出故障.")
@click.option("--json", "as_json", is_flag=True, help="Print address and counts as JSON 输出 JSON.")
def proxy(
    *,
    listen: str | None,
    to: str | None,
    other: str,
    texts: tuple[str, ...],
    seed: int,
    seconds: float | None,
    listing: bool,
    as_json: bool,
) -> None:
    """Bend what a line hears 故障注入代理: delay, lose, split, forge, flood, unplug."""
    if listing:
        _list()
        return
    faults = Faults(random.Random(seed))
    try:
        planned = [parse_fault(text) for text in texts]
        if not listen or not to:
            raise ValueError("--listen and --to are needed 需要两端地址")
        if any(each.fault is Fault.RENUMBERED for each in planned) and not other:
            raise ValueError("renumbered needs --other 换号需要 --other")
        server = ProxyServer(listen, to, faults, other=other)
    except ValueError as error:
        click.echo(str(error), err=True)
        raise SystemExit(USAGE_FAULT) from error
    asyncio.run(_serve(server, Plan(planned, faults), seconds, as_json))


def _list() -> None:
    for fault, (chinese, english) in WORDS.items():
        click.echo(f"{fault:18} {chinese}  {english}")


async def _serve(server: ProxyServer, plan: Plan, seconds: float | None, as_json: bool) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    begun_s = time.monotonic()
    async with server:
        click.echo(json.dumps({"url": server.url}) if as_json else server.url)
        console = Console(stderr=as_json, quiet=as_json)
        with Live(console=console, refresh_per_second=4, transient=False) as live:
            while not stopped.is_set():
                past_s = time.monotonic() - begun_s
                if seconds is not None and past_s >= seconds:
                    break
                plan.follow(past_s)
                live.update(Text(_line(server, past_s), overflow="fold"))
                await asyncio.sleep(TICK_S)
    if as_json:
        click.echo(json.dumps({"counts": vars(server.counts), "struck": _struck(server)}))


def _line(server: ProxyServer, past_s: float) -> str:
    counts = server.counts
    parts = [
        f"{past_s:.0f} s",
        f"问 questions {counts.questions}",
        f"答 answers {counts.answers}",
        f"连接 connections {counts.connections}",
    ]
    parts += [f"{name} {count}" for name, count in sorted(_struck(server).items())]
    return " · ".join(parts)


def _struck(server: ProxyServer) -> Counter[str]:
    return Counter({str(name): count for name, count in server.faults.struck.items() if count})
