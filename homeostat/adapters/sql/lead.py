"""The lead as a lock that a PostgreSQL session holds for as long as it lives."""

from typing import Final

from sqlalchemy import Connection, NullPool, text

from homeostat.adapters.sql.engine import make_engine
from homeostat.errors import LostLeadError, TransientError

_IDLE_S: Final = 3  # without a word from the other end; then it is asked
_PROBES: Final = 3  # one a second; unanswered, the other end is dead
_DEAD_MS: Final = 1000 * (_IDLE_S + _PROBES)
_LONGEST_NAME: Final = 63  # PostgreSQL cuts the name of an application
_CLIENT: Final = {
    "keepalives_idle": _IDLE_S,
    "keepalives_interval": 1,
    "keepalives_count": _PROBES,
    "tcp_user_timeout": _DEAD_MS,
}
_SESSION: Final = {
    "tcp_keepalives_idle": str(_IDLE_S),
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": str(_PROBES),
    "tcp_user_timeout": str(_DEAD_MS),
    "idle_session_timeout": "0",  # in the midst of a step that takes long nothing is said
}
_SET = text("SELECT set_config(:name, :value, false) WHERE current_setting(:name, true) IS NOT NULL")  # where known
# Asked again and again, not waited for: a statement that waits for days keeps VACUUM from every row deleted since.
_TAKE = text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
_ALIVE = text("SELECT 1")


class PostgresLead:
    """Leads while a session of its own holds an advisory lock: the lock goes with the session, however that ends.

    The session of a process that was killed ends at once, that of a machine or network that is gone after six seconds
    of silence: both ends look for a dead peer. The connection is in no pool, which would recycle it, and is never
    opened again behind the caller's back. A pooler between here and the server has to leave sessions whole.
    """

    def __init__(self, url: str, name: str) -> None:
        """Take the database and what is led there; nothing is connected yet.

        Raises:
            HomeostatError: The URL is none.
        """
        shown = {"application_name": name[:_LONGEST_NAME]}  # in pg_stat_activity
        self._engine = make_engine(url, {**_CLIENT, **shown}, NullPool)
        self._name = name
        self._session: Connection | None = None
        self._leads = False

    def take(self) -> bool:
        """Return whether this process leads now, as it does where nobody else did.

        Raises:
            TransientError: The server can't be reached.
        """
        try:
            if self._session is None:
                self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                for name, value in _SESSION.items():
                    self._session.execute(_SET, {"name": name, "value": value})
            self._leads = bool(self._session.execute(_TAKE, {"name": self._name}).scalar_one())
        except TransientError:
            self.leave()
            raise
        return self._leads

    def check(self) -> None:
        """Make sure that this process leads still.

        Raises:
            LostLeadError: The session is gone, and the lock with it.
        """
        if self._session is None or not self._leads:
            raise LostLeadError(f"this process has not taken the lead of {self._name}")
        try:
            self._session.execute(_ALIVE)
        except TransientError as error:
            self.leave()
            raise LostLeadError(f"the connection that held it is gone: {error}") from error

    def leave(self) -> None:
        """End the session: whoever asks next leads."""
        session, self._session, self._leads = self._session, None, False
        if session is not None:
            session.invalidate()  # closed as it is: nothing is said to a server that may not answer
            session.close()
