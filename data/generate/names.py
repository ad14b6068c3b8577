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
    "calculate": ("compute", "estimate"),
    "check": ("verify", "lookup"),
    "convert": ("change", "exchange"),
    "log": ("record", "track"),
    "list": ("show", "enumerate"),
    "track": ("follow", "locate"),
    "buy": ("purchase", "get"),
    "start": ("run", "launch"),
    "order": ("request", "buy"),
    "play": ("stream", "start"),
    "restart": ("reboot", "relaunch"),
}
_PARAMETER_NAMES = {
    "account": ("account_type",),
    "action": ("command", "operation"),
    "address": ("deliver_to", "shipping_address"),
    "amount": ("value", "total"),
    "app": ("application", "app_name"),
    "artist": ("performer", "band"),
    "attendees": ("participants", "invitees"),
    "author": ("writer", "written_by"),
    "body": ("content", "text"),
    "branch": ("source_branch", "branch_name"),
    "category": ("budget_category", "kind"),
    "channel": ("channel_name", "to"),
    "city": ("location", "place", "city_name"),
    "code": ("coupon", "coupon_code"),
    "company": ("payee", "provider"),
    "count": ("limit", "max_results"),
    "customer": ("client", "customer_name"),
    "date": ("day", "on_date", "when"),
    "days": ("num_days", "duration_days"),
    "destination": ("target", "arrival", "going_to"),
    "device": ("appliance", "device_name"),
    "dish": ("food", "meal_name"),
    "doctor": ("physician", "doctor_name"),
    "document": ("file", "document_name"),
    "exercise": ("activity", "sport"),
    "file": ("filename", "path", "input_file"),
    "flight_number": ("flight", "flight_id"),
    "folder": ("directory", "source"),
    "genre": ("movie_genre", "category"),
    "grams": ("portion", "amount_grams"),
    "host": ("hostname", "server"),
    "ingredients": ("foods", "available_items"),
    "items": ("products", "entries_list"),
    "language": ("lang", "language_name"),
    "limit": ("max_results", "count"),
    "medicine": ("drug", "medicine_name"),
    "message": ("text", "content"),
    "minutes": ("duration", "duration_minutes"),
    "name": ("title", "label"),
    "nights": ("num_nights", "length_of_stay"),
    "options": ("choices", "answers"),
    "order_id": ("order", "order_number"),
    "people": ("party_size", "persons"),
    "percent": ("tip_percent", "rate"),
    "permission": ("access", "access_level"),
    "person": ("contact", "callee"),
    "petName": ("pet", "animal"),
    "phone": ("phone_number", "telephone"),
    "product": ("item", "product_name"),
    "quantity": ("count", "number_of_items"),
    "query": ("search_term", "keywords"),
    "question": ("prompt", "poll_question"),
    "questions": ("question_count", "size"),
    "recipient": ("to", "receiver_name"),
    "restaurant": ("venue", "restaurant_name"),
    "room": ("area", "room_name", "zone"),
    "rooms": ("areas", "zones"),
    "seats": ("tickets", "seat_count"),
    "service": ("service_name", "process"),
    "show": ("event_name", "performance"),
    "song": ("track", "song_title"),
    "songs": ("tracks", "song_titles"),
    "stars": ("rating", "score"),
    "state": ("power", "status"),
    "subject": ("title", "headline"),
    "symbol": ("ticker", "stock"),
    "table": ("table_name", "source_table"),
    "team": ("club", "team_name"),
    "temperature": ("degrees", "target_temperature"),
    "text": ("content", "message"),
    "time": ("at", "start_time", "hour"),
    "title": ("name", "summary"),
    "topic": ("about", "topic_name"),
    "unit": ("units", "scale"),
    "username": ("user", "login"),
    "word": ("term", "lookup_word"),
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
