"""The profile: by which edition of the statutory tables the mine is judged, and who signed it.

Said once at each start that brings another edition or another signature, so that the record names
the tables behind every later decision.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from minewatch.core.folding import Fold
from minewatch.model.event import Event

if TYPE_CHECKING:
    from minewatch.core.draft import Draft
    from minewatch.core.state import Durable


@dataclass(frozen=True, slots=True)
class ProfileDurable:
    """The profile that was last said to be in force: `<version>+<sha256 of the tables>`."""

    profile: str = ""
    signed_off_by: str = ""


def observe(draft: "Draft") -> None:
    """Compare the mine's profile with the one in force; two comparisons of texts a cycle."""
    mine, known = draft.mine, draft.durable.profile
    if mine.profile == known.profile and mine.signed_off_by == known.signed_off_by:
        return
    version, _, digest = mine.profile.partition("+")
    draft.emit("profile_in_force", profile=version, sha256=digest, signed_off_by=mine.signed_off_by)


def _in_force(durable: "Durable", event: Event) -> "Durable":
    data = event.data
    profile = "+".join(each for each in (data["profile"], data["sha256"]) if each)
    return replace(durable, profile=ProfileDurable(profile, data["signed_off_by"]))


FOLDS: dict[str, Fold] = {"profile_in_force": _in_force}
