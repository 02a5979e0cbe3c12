"""Errors that carry their decision: retry, quarantine, refuse, or stop."""


class HomeostatError(Exception):
    """Anything Homeostat raises on purpose; its text says what to do."""


class TransientError(HomeostatError):
    """The world may heal by itself: back off and try again without committing."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        """Keep how long to wait before the next try, in seconds."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class OverloadedError(TransientError):
    """More work is waiting than can be done in time: come back after ``retry_after_s``."""


class InvalidRecordError(HomeostatError):
    """One record can't be used: it goes to the dead-letter topic and is committed."""


class ContractError(HomeostatError):
    """A contract file is refused; each problem names file, path, value and what was expected."""

    def __init__(self, problems: list[str]) -> None:
        """Keep the problems, one line each."""
        super().__init__("\n".join(problems))
        self.problems = problems


class NotEnoughDataError(HomeostatError):
    """Too few rows to say anything honest."""


class ModelError(HomeostatError):
    """A stored model can't be read or can't score these features."""


class LedgerError(HomeostatError):
    """The ledger's hash chain is broken: an entry was edited, removed or reordered."""


class LostLeadError(HomeostatError):
    """Another process may lead by now: what is in hand is left to it."""


class StaleCaseError(HomeostatError):
    """Somebody else wrote the healing case first: read it again."""
