"""`observe`: the county's side, with any broker: is the upload alive, complete and unaltered?

It subscribes, checks numbers, leaves, checkpoints and proofs (`publisher.observation`), shows what
it sees and ends with a verdict. Exit code 1 when something is missing, forged or malformed, 69 when
the broker cannot be reached.
"""

import json
import queue
import secrets
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from minewatch.cli import exit_codes
from minewatch.cli.reach import json_option, lang_option, span_text, texts
from minewatch.model.mine import Upload
from minewatch.publisher.link import Down, Heard, Link, News, Up
from minewatch.publisher.observation import Observation
from minewatch.record import RecordError
from minewatch.record.note import parse_verifier_key
from minewatch.text import Catalogue

QUESTION_EVERY_S = 0.25
RETRY_AFTER_S = 3.0
ANSWERS_WITHIN_S = 8.0
REFRESH_S = 0.5
MINES_MAX = 1000
QUEUE_MAX = 100_000


class Observer:
    """Listens to all mines below one pattern and keeps an observation of each."""

    def __init__(
        self, upload: Upload, pattern: str, key: tuple[str, bytes] | None, store: TextIO | None
    ) -> None:
        self.client = f"observe-{secrets.token_hex(4)}"
        self.mines: dict[str, Observation] = {}
        self.session = 0
        self.down = ""
        self._key = key
        self._store = store
        self._news: queue.Queue[News] = queue.Queue(QUEUE_MAX)
        self._asked_s = 0.0
        self._link = Link(
            upload, self.client, will=lambda: None, subscribe=pattern, tell=self._news.put
        )

    def start(self) -> None:
        """Begin to listen."""
        self._link.start()

    def stop(self) -> None:
        """Leave the broker."""
        self._link.stop()

    def turn(self, wait_s: float) -> None:
        """Take what has come within `wait_s` and ask one question where one is due."""
        deadline_s = time.monotonic() + wait_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            with suppress(queue.Empty):
                self._hear(self._news.get(timeout=min(left_s, QUESTION_EVERY_S)))
            self._ask()
        if self._store is not None:
            self._store.flush()

    def waiting(self) -> bool:
        """Tell whether an answer may still come."""
        return any(each.unfilled() for each in self.mines.values())

    def _hear(self, news: News) -> None:
        match news:
            case Up():
                self.session, self.down = news.session, ""
            case Down():
                self.session, self.down = 0, f"{news.reason} {news.detail}".strip()
            case Heard():
                self._message(news)

    def _message(self, news: Heard) -> None:
        parts = news.topic.split("/", 4)
        if len(parts) < 5 or (parts[3] not in self.mines and len(self.mines) >= MINES_MAX):
            return
        if self._store is not None:
            row = {"topic": news.topic, "retained": news.retained, "payload": _text(news.payload)}
            self._store.write(json.dumps(row, ensure_ascii=False) + "\n")
        root = "/".join(parts[:4])
        mine = self.mines.setdefault(root, Observation(self.client, self._key))
        mine.take(parts[4], news.payload, retained=news.retained)

    def _ask(self) -> None:
        now_s = time.monotonic()
        if not self.session or now_s - self._asked_s < QUESTION_EVERY_S:
            return
        for root, mine in self.mines.items():
            if not mine.questions and now_s - self._asked_s > RETRY_AFTER_S:
                mine.ask_again()
            if mine.questions:
                self._asked_s = now_s
                payload = json.dumps(mine.questions.popleft()).encode()
                self._link.publish(self.session, f"{root}/request", payload, retain=False)
                return


@click.command()
@click.argument("url")
@click.option("--county", default="+", help="County code 县区代码; default all.")
@click.option("--mine", default="+", help="Mine code 煤矿编码; default all.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Stop after so long 观察秒数.")
@click.option("--store", type=click.Path(dir_okay=False), help="Append messages as JSON Lines.")
@click.option("--key", help="Verifier key of the ledger, or its file (key.pub) 验签公钥.")
@click.option("--username", default="", help="Name at the broker 用户名.")
@click.option("--password-file", default="", help="File with the password 口令文件.")
@click.option("--ca", default="", help="CA certificate for mqtts:// CA 证书.")
@click.option("--certificate", default="", help="Client certificate 客户端证书.")
@click.option("--certificate-key", default="", help="Its private key 客户端私钥.")
@lang_option
@json_option
def observe(
    url: str,
    *,
    county: str,
    mine: str,
    seconds: float | None,
    store: str | None,
    key: str | None,
    username: str,
    password_file: str,
    ca: str,
    certificate: str,
    certificate_key: str,
    lang: str | None,
    as_json: bool,
) -> None:
    """Watch an upload at the broker URL as the county does. 监管端观察上传."""
    say = texts(lang)
    upload = Upload("observe", url, username, password_file, ca, certificate, certificate_key)
    pattern = f"minewatch/v1/{county}/{mine}/#"
    file = _open(store)
    observer = Observer(upload, pattern, _key(key), file)
    observer.start()
    try:
        _observe(observer, say, seconds, quiet=as_json)
    except KeyboardInterrupt:
        pass
    finally:
        observer.stop()
        if file is not None:
            file.close()
    _verdict(observer, say, as_json)


def _observe(observer: Observer, say: Catalogue, seconds: float | None, *, quiet: bool) -> None:
    end_s = None if seconds is None else time.monotonic() + seconds
    with Live(console=Console(quiet=quiet), auto_refresh=False) as live:
        while end_s is None or time.monotonic() < end_s:
            observer.turn(REFRESH_S)
            live.update(_table(observer, say), refresh=True)
        end_s = time.monotonic() + ANSWERS_WITHIN_S
        while observer.session and observer.waiting() and time.monotonic() < end_s:
            observer.turn(REFRESH_S)
        live.update(_table(observer, say), refresh=True)


def _table(observer: Observer, say: Catalogue) -> Table:
    table = Table(title=say.say("observe.title"), caption=observer.down or None)
    for key in ("mine", "state", "headcount", "alarms", "events", "missing", "roots", "findings"):
        table.add_column(say.say(f"observe.{key}"))
    for root, mine in sorted(observer.mines.items()):
        verdict = mine.verdict()
        table.add_row(
            root.rpartition("/")[2],
            _state(say, mine.latest.get("status", {})),
            _headcount(mine.latest.get("headcount", {})),
            ", ".join(
                say.say(f"alarm_kind.{each['kind']}")
                for each in mine.alarms.values()
                if each.get("active")
            ),
            str(verdict["events"]),
            str(verdict["missing_events"]),
            str(verdict["roots_verified"]),
            str(len(verdict["findings"])),
            style="" if verdict["whole"] else "bold red",
        )
    return table


def _state(say: Catalogue, status: Mapping[str, Any]) -> str:
    if not status:
        return ""
    state = say.say(f"observe.state_{status['state']}")
    controller = status["controller"]
    return state if controller["up"] else f"{state} · {say.say('observe.controller_down')}"


def _headcount(part: Mapping[str, Any]) -> str:
    if not part:
        return ""
    return f"{span_text(part.get('lo'), part.get('hi'))} / {part.get('limit')}"


def _verdict(observer: Observer, say: Catalogue, as_json: bool) -> None:
    """Print the verdict of every mine and leave with its code."""
    verdicts = {root: mine.verdict() for root, mine in sorted(observer.mines.items())}
    if as_json:
        click.echo(json.dumps(verdicts, ensure_ascii=False, indent=2))
    for root, verdict in verdicts.items():
        if not as_json:
            word = "observe.whole" if verdict["whole"] else "observe.not_whole"
            click.echo(f"{root}: {say.say(word, **verdict)}")
            for each in verdict["findings"][:20]:
                click.echo(f"  {say.say('observe.code_' + each['code'])}: {each['detail']}")
    if not verdicts:
        click.echo(say.say("observe.nothing", why=observer.down), err=True)
        sys.exit(exit_codes.UNREACHABLE)
    whole = all(each["whole"] for each in verdicts.values())
    sys.exit(exit_codes.OK if whole else exit_codes.CHECK_FAILED)


def _key(text: str | None) -> tuple[str, bytes] | None:
    if text is None:
        return None
    path = Path(text)
    try:
        return parse_verifier_key(path.read_text("utf-8") if path.is_file() else text)
    except (OSError, ValueError, RecordError) as error:
        raise click.BadParameter(str(error), param_hint="--key") from error


def _open(store: str | None) -> TextIO | None:
    if store is None:
        return None
    try:
        return Path(store).open("a", encoding="utf-8")
    except OSError as error:
        click.echo(str(error), err=True)
        sys.exit(exit_codes.IO_ERROR)


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "replace")
