from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from homeostat.adapters.followed_registry import FollowedRegistry
from homeostat.adapters.memory import MemoryRegistry
from homeostat.errors import ModelError, TransientError
from homeostat.healing.tags import vouched_tag
from homeostat.ports import Aliases, ModelPackage

PACKAGE = ModelPackage({"model.txt": b"tree\xff"}, {"log_loss": 0.4}, {"recipe": "{}"}, {"why": "drift"})


class Shaky:
    """A registry that may be away."""

    def __init__(self) -> None:
        self.real = MemoryRegistry()
        self.is_away = False
        self.asked = 0

    def aliases(self) -> Aliases:
        self.asked += 1
        if self.is_away:
            raise TransientError("nobody answers")
        return self.real.aliases()

    def load(self, version: str) -> ModelPackage:
        return self.real.load(version)


def until(true: Callable[[], object]) -> None:
    deadline = monotonic() + 60
    while not true():
        assert monotonic() < deadline
        sleep(0.005)


@pytest.fixture
def registry() -> Shaky:
    shaky = Shaky()
    for request in ("one", "two"):
        shaky.real.register(PACKAGE, request)
    shaky.real.set_alias("champion", "1")
    return shaky


@pytest.fixture
def follow(registry: Shaky, tmp_path: Path) -> Iterator[Callable[[], FollowedRegistry]]:
    made: list[FollowedRegistry] = []

    def make() -> FollowedRegistry:
        made.append(FollowedRegistry(lambda: registry, tmp_path / "served", every_s=0.005))
        return made[-1]

    yield make
    for one in made:
        one.close()


def knows(followed: FollowedRegistry) -> Aliases | None:
    try:
        return followed.aliases()
    except TransientError:
        return None


def test_it_shows_who_serves_and_their_packages(follow: Callable[[], FollowedRegistry]) -> None:
    followed = follow()
    until(lambda: knows(followed))
    assert followed.aliases() == Aliases(champion="1")
    assert followed.load("1") == PACKAGE


def test_a_moved_alias_is_followed(follow: Callable[[], FollowedRegistry], registry: Shaky) -> None:
    followed = follow()
    until(lambda: knows(followed))
    registry.real.set_alias("challenger", "2")
    until(lambda: followed.aliases().challenger == "2")
    assert followed.load("2") == PACKAGE
    registry.real.set_alias("challenger", None)
    until(lambda: followed.aliases().challenger is None)
    until(lambda: not (followed._folder / "2.msgpack").exists())
    with pytest.raises(ModelError, match="version 2"):
        followed.load("2")


def test_trouble_with_its_files_does_not_end_it(
    follow: Callable[[], FollowedRegistry], registry: Shaky, tmp_path: Path
) -> None:
    (tmp_path / "served" / "9.msgpack").mkdir(parents=True)  # which can't be removed like a file
    followed = follow()
    until(lambda: knows(followed))
    registry.real.set_alias("champion", "2")
    until(lambda: followed.aliases().champion == "2")


def test_two_may_keep_one_folder(follow: Callable[[], FollowedRegistry], registry: Shaky) -> None:
    both = [follow(), follow()]
    until(lambda: all(map(knows, both)))
    for version in ("2", "1") * 20:
        registry.real.set_alias("champion", version)
        until(lambda: all(one.aliases().champion == version for one in both))  # noqa: B023 - asked at once
    assert all(one._thread.is_alive() for one in both)


def test_the_last_known_models_serve_while_the_registry_is_away_and_after_a_restart(
    follow: Callable[[], FollowedRegistry], registry: Shaky
) -> None:
    registry.real.set_alias("challenger", "2", 0.25)
    followed = follow()
    until(lambda: knows(followed))
    registry.is_away = True
    before = registry.asked
    until(lambda: registry.asked > before + 3)
    assert followed.aliases().champion == "1"
    followed.close()
    again = follow()
    assert again.aliases() == Aliases("1", "2", None, 0.25)
    assert again.load("1") == PACKAGE
    registry.real.set_alias("champion", "2")
    registry.is_away = False
    until(lambda: again.aliases().champion == "2")


def test_a_registry_that_never_answered_is_said_to_be_away(
    follow: Callable[[], FollowedRegistry], registry: Shaky
) -> None:
    registry.is_away = True
    followed = follow()
    until(lambda: registry.asked > 1)
    with pytest.raises(TransientError, match="nobody answers"):
        followed.aliases()


def test_a_package_that_was_damaged_on_disk_is_fetched_anew(
    follow: Callable[[], FollowedRegistry], tmp_path: Path
) -> None:
    followed = follow()
    until(lambda: knows(followed))
    file = tmp_path / "served" / "1.msgpack"
    file.write_bytes(b"\xc1 half")
    with pytest.raises(ModelError, match="version 1"):
        followed.load("1")
    until(file.exists)
    assert followed.load("1") == PACKAGE


def test_an_alias_on_a_version_that_the_loop_does_not_vouch_for_is_not_followed(
    registry: Shaky, follow: Callable[[], FollowedRegistry]
) -> None:
    registry.real.tag(None, vouched_tag(Aliases("1")))
    registry.real.set_alias("champion", "2")
    followed = follow()
    until(lambda: registry.asked > 3)
    assert followed.aliases() == Aliases("1")
    registry.real.tag(None, vouched_tag(Aliases("2", previous="1")))
    until(lambda: followed.aliases() == Aliases("2", previous="1"))
