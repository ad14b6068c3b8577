"""Other names for trained tools and parameters: training shall teach copying from the schema, not recall."""

import random
import re

from data.generate.spec import Face, Spec

_VERBS = {
    "get": ("fetch", "show", "retrieve"),
    "create": ("make", "new"),
    "search": ("find", "query"),
    "find": ("search", "discover"),
    "book": ("arrange", "schedule"),
    "send": ("deliver", "submit"),
    "set": ("configure", "update"),
    "add": ("insert", "append"),
    "convert": ("change", "exchange"),
    "track": ("follow", "locate"),
    "start": ("run", "launch"),
    "play": ("stream", "start"),
    "restart": ("reboot", "relaunch"),
}
_PARAMETER_NAMES = {
    "amount": ("value", "total"),
    "artist": ("performer", "band"),
    "attendees": ("participants", "invitees"),
    "body": ("content", "text"),
    "city": ("location", "place", "city_name"),
    "count": ("limit", "max_results"),
    "customer": ("client", "customer_name"),
    "date": ("day", "on_date", "when"),
    "days": ("num_days", "duration_days"),
    "destination": ("target", "arrival", "going_to"),
    "flight_number": ("flight", "flight_id"),
    "ingredients": ("foods", "available_items"),
    "items": ("products", "entries_list"),
    "language": ("lang", "language_name"),
    "minutes": ("duration", "duration_minutes"),
    "nights": ("num_nights", "length_of_stay"),
    "order_id": ("order", "order_number"),
    "people": ("party_size", "persons"),
    "person": ("contact", "callee"),
    "query": ("search_term", "keywords"),
    "recipient": ("to", "receiver_name"),
    "restaurant": ("venue", "restaurant_name"),
    "room": ("area", "room_name", "zone"),
    "rooms": ("areas", "zones"),
    "service": ("service_name", "process"),
    "song": ("track", "song_title"),
    "state": ("power", "status"),
    "subject": ("title", "headline"),
    "symbol": ("ticker", "stock"),
    "text": ("content", "message"),
    "time": ("at", "start_time", "hour"),
    "title": ("name", "summary"),
    "topic": ("about", "topic_name"),
    "unit": ("units", "scale"),
}


def pieces(name: str) -> list[str]:
    """The lower-case words of a name in any style: `bookHotel`, `get-directions`, `set_timer`."""
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).replace("-", "_").lower().split("_")


def _join(words: list[str], style: str) -> str:
    if style == "camel":
        return words[0] + "".join(word.title() for word in words[1:])
    if style == "pascal":
        return "".join(word.title() for word in words)
    return style.join(words)


def other_face(spec: Spec, rng: random.Random) -> Face:
    """The tool under another name, with other parameter names, styles and order."""
    style = rng.choice(["_", "_", "camel", "camel", "pascal", "-"])
    verb, *rest = pieces(spec.name)
    words = [rng.choice((verb, *_VERBS.get(verb, ()))), *rest]
    plain = "camel" if style == "camel" else "_"
    shown: dict[str, str] = {}
    for name in rng.sample(list(spec.kinds), len(spec.kinds)):
        shown[name] = _join(pieces(rng.choice((name, *_PARAMETER_NAMES.get(name, ())))), plain)
    return Face(spec, _join(words, style), shown)
