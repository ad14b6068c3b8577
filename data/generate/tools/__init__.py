"""The tool tables: trained ones by domain, and the held-out ones."""

from data.generate.spec import Spec
from data.generate.tools import (
    calendar,
    home,
    kitchen,
    leisure,
    money,
    office,
    places,
    shop,
    systems,
    travel,
    unseen,
)

DOMAINS: tuple[tuple[Spec, ...], ...] = (
    travel.TOOLS + places.TOOLS,
    calendar.TOOLS + office.TOOLS,
    home.TOOLS + kitchen.TOOLS,
    shop.TOOLS + money.TOOLS,
    leisure.TOOLS,
    systems.TOOLS,
)
"""Trained tools that one might mistake for each other stand in one domain."""

TRAINED: tuple[Spec, ...] = tuple(spec for domain in DOMAINS for spec in domain)
UNSEEN: tuple[Spec, ...] = unseen.TOOLS

_CLASHES: tuple[frozenset[str], ...] = (
    frozenset({"search_products", "add_to_shopping_list"}),
    frozenset({"set_alarm", "set_timer", "set_reminder"}),
    frozenset({"switchLight", "turn_off_all_devices"}),
    frozenset({"createEvent", "schedule_call", "set_reminder"}),
    frozenset({"find_recipe", "add_to_shopping_list"}),
)


def clash(one: Spec, other: Spec) -> bool:
    """Whether one utterance might fairly be answered by either tool, so that they must not stand together."""
    return one is other or any({one.name, other.name} <= group for group in _CLASHES)
