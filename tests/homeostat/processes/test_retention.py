from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from homeostat.contract.load import parse_contract
from homeostat.flow import topic_name
from homeostat.processes.retention import EVERY, Retention
from homeostat.processes.stores import Product

from .conftest import HOUR, START, TURBINES


def first_kept(product: Product, topic: str) -> int:
    return product.stack.log.offset_at(topic_name("turbines", topic), START - timedelta(days=999))


def test_messages_and_rows_older_than_the_contract_says_are_forgotten(
    product: Product, send: Callable[[datetime, int], None], serve: Callable[[datetime], None]
) -> None:
    contract = parse_contract(TURBINES.read_text() + "retention: {log: 11d, features: 30d}\n", "c")
    retention = Retention(contract, product.stack)
    now = START
    for _ in range(20):
        now += timedelta(days=1)
        send(now, 5)
        serve(now)
        retention.run(now)
    assert first_kept(product, "raw_events") == first_kept(product, "raw_labels") == 8 * 5
    assert first_kept(product, "features") == 0  # join and archive have not read them yet
    assert product.stack.log.end(topic_name("turbines", "features")) == 100


def test_the_stored_row_of_an_entity_that_was_not_seen_for_long_is_forgotten(
    product: Product, send: Callable[[datetime, int], None], serve: Callable[[datetime], None]
) -> None:
    contract = parse_contract(TURBINES.read_text() + "retention: {entities: 10d}\n", "c")
    send(START, 9)
    serve(START)
    send(START + timedelta(days=8), 4)
    serve(START + timedelta(days=8))
    Retention(contract, product.stack).run(START + timedelta(days=11))
    found = product.stack.online.read([f"t{i}" for i in range(9)])
    assert [row is not None for row in found] == [True] * 4 + [False] * 5


def test_a_look_is_taken_every_six_hours(
    product: Product, send: Callable[[datetime, int], None], serve: Callable[[datetime], None]
) -> None:
    retention = Retention(product.contract, product.stack)
    send(START, 3)
    serve(START)
    late = START + product.contract.retention.log + HOUR
    retention.run(late - 2 * HOUR)
    retention.run(late - 2 * HOUR + EVERY / 2)
    assert first_kept(product, "raw_events") == 0
    retention.run(late - 2 * HOUR + EVERY)
    assert first_kept(product, "raw_events") == 3


def test_the_folder_of_the_contract_is_not_needed(product: Product, tmp_path: Path) -> None:
    Retention(product.contract, product.stack).run(START)
