"""Traffic split: a stable hash of the entity decides who answers it."""

from hashlib import blake2b

from homeostat.contract.policies import CanaryPolicy
from homeostat.ports import Aliases
from homeostat.records import Arm

_SPAN = 2**64


def position(entity_id: str, salt: str) -> float:
    """Return where an entity lies in [0, 1), evenly over entities and independently for each salt.

    Args:
        entity_id: The id that traffic is split by.
        salt: The challenger's version, so that each canary is answered to other entities.
    """
    digest = blake2b(entity_id.encode(), digest_size=8, key=blake2b(salt.encode(), digest_size=32).digest())
    # the top 53 bits: all that a float holds exactly, so that the result stays below 1
    return (int.from_bytes(digest.digest()) >> 11) / (_SPAN >> 11)


def arm_of(entity_id: str, share: float, salt: str) -> Arm:
    """Return the arm an entity falls into; raising the share never moves one back to the champion.

    Args:
        entity_id: The id that traffic is split by.
        share: Share of entities answered by the challenger, in [0, 1].
        salt: The challenger's version.
    """
    return Arm.CHALLENGER if position(entity_id, salt) < share else Arm.CHAMPION


def share_of(aliases: Aliases, policy: CanaryPolicy) -> float:
    """Return the share of entities that a challenger answers: what the registry says, or else a canary's first."""
    return policy.climb[0] if aliases.share is None else aliases.share


def propensity(arm: Arm, share: float) -> float:
    """Return the probability with which an entity falls into ``arm`` while a canary of ``share`` runs."""
    return {Arm.CHALLENGER: share, Arm.CHAMPION: 1.0 - share, Arm.NONE: 1.0}[arm]


def served(aliases: Aliases) -> Aliases:
    """Return who may answer: an alias that was moved onto a version that the loop doesn't vouch for moves nothing.

    Whoever has to go back in a hurry needs no healer: each of the versions vouched for may be made the champion. Where
    the loop never gave its word, the aliases hold as they are.

    >>> vouched = Aliases("4", "5", "3")
    >>> served(Aliases("9", "5", "3", vouched=vouched)), served(Aliases("3", "9", "3", vouched=vouched)).challenger
    (Aliases(champion='4', challenger='5', previous='3', share=None, since=None), None)
    >>> served(Aliases("3", "5", "3", vouched=vouched)).champion, served(Aliases(vouched=vouched)).champion
    ('3', '4')
    """
    vouched = aliases.vouched
    if vouched is None:
        return aliases
    known = {vouched.champion, vouched.challenger, vouched.previous} - {None}
    champion = aliases.champion if aliases.champion in known else vouched.champion
    challenger = aliases.challenger if aliases.challenger == vouched.challenger else None
    previous = aliases.previous if aliases.previous in known else vouched.previous
    since = vouched.since if champion == vouched.champion else None
    return Aliases(champion, challenger, previous, aliases.share, since)
