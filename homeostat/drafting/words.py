"""The words in a column's name that hint at what it is."""

import re
from typing import Final


def words_of(name: str) -> list[str]:
    """Return the words of a contract name.

    >>> words_of("customer_id2")
    ['customer', 'id']
    """
    return [word for word in re.findall(r"[a-z]+", name) if word]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


TIME_WORDS: Final = _set("time timestamp ts date datetime dt at when epoch created occurred stamp day")
EVENT_TIME_WORDS: Final = _set(
    "time timestamp ts datetime date event created occurred started start opened requested ordered"
)
LABEL_TIME_WORDS: Final = _set(
    "label labelled labeled resolved resolution closed outcome completed complete finished delivered returned repaid"
    " settled decided ended end actual arrival arrived confirmed reported known truth churned failed verified"
)
SCHEDULE_WORDS: Final = _set(
    "sched scheduled plan planned due promised expected expiry expires expiration deadline valid eta"
)
CODE_WORDS: Final = _set("id code zip zipcode postcode postal nr key sku uuid guid pin")
ID_WORDS: Final = _set("id uuid guid key nr number no reference ref event transaction order")
ENTITY_WORDS: Final = _set(
    "customer user account client member device machine store shop card merchant patient vehicle driver product host"
    " sensor station player courier asset turbine meter seller buyer supplier vendor employee student policy contract"
    " subscriber borrower applicant unit engine pump line route site node server household person entity"
)
TARGET_WORDS: Final = _set(
    "target label y class outcome churn churned exited attrition fraud fraudulent isfraud default defaulted late"
    " delayed fail failed fails failure converted conversion clicked click survived response subscribed bought"
    " purchased cancelled canceled returned delinquent bad anomaly spam diagnosis malignant readmitted approved"
    " accepted deposit result"
)
SIGNED_WORDS: Final = _set("delta diff change gain loss delay deviation offset error net profit balance temp")
COUNT_WORDS: Final = _set("count counts num number qty quantity items visits clicks views orders tries attempts")
SIZE_WORDS: Final = _set(
    "age price cost amount fee salary income distance duration length width height size weight seconds minutes hours"
    " days bytes miles km volume area seats"
)
SHARE_WORDS: Final = _set("share ratio rate prob probability fraction")
PERCENT_WORDS: Final = _set("percent pct percentage")
