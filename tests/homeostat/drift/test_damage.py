from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from homeostat.drift.damage import moved_share, priced, without_harmless
from homeostat.records import Attribution, DriftScore

SCORE = DriftScore("x", 0.3, 0.1, None, None, 1e-9, drifted=True)
EMBEDDING = replace(SCORE, name="embedding")
masses = st.lists(st.integers(1, 50), min_size=3, max_size=3).map(lambda parts: np.array(parts, dtype=float))


@given(masses, masses)
def test_the_moved_share_is_the_same_both_ways_and_no_more_than_all(one, other):
    assert 0 <= moved_share(one, other) <= 1
    assert moved_share(one, other) == moved_share(other, one)
    assert moved_share(one, 7 * one) < 1e-12


def test_damage_is_the_worth_of_the_rows_that_moved():
    score = priced(SCORE, Attribution(share=0.4, worth=0.02), 0.5)
    assert (score.share, score.damage) == (0.4, 0.01)


def test_a_harmless_feature_is_silent_and_the_embedding_with_it():
    idle, vital = replace(SCORE, name="idle", share=0.001), replace(SCORE, name="vital", share=0.6)
    assert without_harmless([idle], EMBEDDING, 0.01) == []
    assert without_harmless([idle, vital], EMBEDDING, 0.01) == [vital, EMBEDDING]


def test_without_a_share_in_the_contract_or_an_attribution_nothing_is_harmless():
    idle = replace(SCORE, share=0.0)
    assert without_harmless([idle], EMBEDDING, 0.0) == [idle, EMBEDDING]
    assert without_harmless([SCORE], EMBEDDING, 0.5) == [SCORE, EMBEDDING]


def test_the_embedding_still_speaks_when_no_single_feature_drifted():
    calm = replace(SCORE, drifted=False, share=0.001)
    assert without_harmless([calm], EMBEDDING, 0.01) == [EMBEDDING]
