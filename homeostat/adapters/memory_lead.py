"""The lead among the threads of one process; one that nobody shares is always free."""

from homeostat.errors import LostLeadError


class MemoryLead:
    """Leads where no other of the same seat does.

    >>> seat = []
    >>> one, other = MemoryLead(seat), MemoryLead(seat)
    >>> one.take(), other.take()
    (True, False)
    """

    def __init__(self, seat: "list[MemoryLead] | None" = None) -> None:
        """Take who sits there, nobody or one; without it this one is alone."""
        self._seat = [] if seat is None else seat

    def take(self) -> bool:
        """Return whether this one leads now, as it does where nobody else did."""
        if not self._seat:
            self._seat.append(self)
        return self._seat == [self]

    def check(self) -> None:
        """Make sure that this one leads still.

        Raises:
            LostLeadError: It does not.
        """
        if self._seat != [self]:
            raise LostLeadError("another one leads")

    def leave(self) -> None:
        """Leave the seat to whoever asks next."""
        if self._seat == [self]:
            self._seat.clear()
