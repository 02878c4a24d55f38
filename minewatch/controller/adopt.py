"""Which configuration a run may guard with: the active one, or the one before where it is refused.

A house takes up another configuration by a start of its controller. What a reload would refuse
while something is latched, sounds or is in use (`core/rebase.py`) is refused here by the same
reasons: the mine stays guarded by the configuration of the run before, which becomes active again.
"""

import logging
from dataclasses import dataclass

from minewatch.core.rebase import refusals
from minewatch.core.state import Durable
from minewatch.folder import Folder
from minewatch.model.mine import Mine

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Adopted:
    """The mine to guard and the hash of its configuration; `refused` is the hash turned away."""

    mine: Mine
    config: str
    refused: str = ""
    reasons: tuple[str, ...] = ()


def adopt(folder: Folder, durable: Durable) -> Adopted:
    """Return the configuration that this run guards with.

    Raises:
        FileNotFoundError: nothing was ever activated here.
        ValueError: the active one is refused and the one before is not there any more.
    """
    new, wanted = folder.active_mine(), folder.active_hash()
    before = durable.house.config
    if before in {"", wanted}:
        return Adopted(new, wanted)
    old = folder.kept_mine(before)
    reasons = refusals(old or new, new, durable)
    if not reasons:
        return Adopted(new, wanted)
    log.error("configuration %s is refused: %s", wanted[:12], ", ".join(reasons))
    if old is None:
        raise ValueError(f"configuration {wanted[:12]} is refused and {before[:12]} is not kept")
    return Adopted(old, folder.activate(old), wanted, reasons)
