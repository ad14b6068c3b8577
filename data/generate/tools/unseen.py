"""Held-out tools: names and parameters that training never shows, in the same variety of schemas."""

from data.generate.kinds import Choice, Flag, Integer, Many, Number, Record, Text
from data.generate.spec import Spec, Wording

_PARCEL = Record(
    {"grams": Integer(100, 900, 25), "contents": Text("product")},
    "",
    "of {grams} grams with {contents} inside",
)
_ENTRY = Record({"article": Text("grocery"), "packs": Integer(2, 30)}, "", "{packs} packs of {article}")


def _heldout(*templates: str) -> Wording:
    return Wording(heldout=templates)


TOOLS = (
    Spec(
        "reserve_parking",
        "Reserve a parking space near an address",
        {"near": Text("street"), "hours": Integer(2, 24), "vehicle?": Choice("car motorbike truck")},
        _heldout(
            "Reserve a parking space near {near} for {hours} hours.",
            "I need to park my {vehicle} close to {near}, {hours} hours.",
            "Where can I leave the {vehicle} for {hours} hours around {near}? Reserve a space.",
        ),
        result={"space": Integer(1, 90)},
        say=_heldout("Space {space} near {near} is yours for {hours} hours."),
    ),
    Spec(
        "measureDistance",
        "Measure the distance between two places",
        {"pointA": Text("city"), "pointB": Text("city")},
        _heldout(
            "How far is {pointA} from {pointB}?",
            "Measure the distance between {pointA} and {pointB}.",
            "How many kilometres lie between {pointA} and {pointB}?",
        ),
        result={"kilometres": Integer(50, 9000, 10)},
        say=_heldout("{pointA} and {pointB} are {kilometres} kilometres apart."),
    ),
    Spec(
        "check_air_quality",
        "Check the air quality of a town",
        {"town": Text("city")},
        _heldout(
            "How clean is the air in {town}?",
            "Check the air quality in {town}.",
            "Can I breathe well in {town} today?",
        ),
        both=_heldout(
            "Compare the air quality of {town} and {town/2}.", "Is the air cleaner in {town} or in {town/2}?"
        ),
        result={"index": Integer(5, 150), "rating": Choice("good fair poor")},
        say=_heldout("The air in {town} is {rating}, with an index of {index}."),
    ),
    Spec(
        "order_pizza",
        "Order a pizza",
        {
            "toppings": Many(Text("grocery"), 1, 3),
            "crust": Choice("thin thick stuffed"),
            "gluten_free?": Flag(),
        },
        _heldout(
            "Order a {crust} crust pizza with {toppings}.",
            "I'm hungry: one pizza, {crust} crust, topped with {toppings}.",
            "A gluten free pizza with {toppings} on a {crust} crust, please. | gluten_free=true",
        ),
        result={"ready_at": Text("time")},
        say=_heldout("Your pizza with {toppings} will be ready at {ready_at}."),
    ),
    Spec(
        "compose_poem",
        "Compose a poem about a theme",
        {"theme": Text("topic"), "verses": Integer(2, 20), "mood?": Choice("happy sad funny")},
        _heldout(
            "Compose a poem about {theme} with {verses} verses.",
            "Write {verses} {mood} verses on {theme}.",
            "I'd love a {mood} poem about {theme}, {verses} verses long.",
        ),
    ),
    Spec(
        "mix_paint",
        "Mix paint at the workshop",
        {"base_color": Text("color"), "litres": Number(0.5, 20, 0.5), "finish": Choice("matte satin gloss")},
        _heldout(
            "Mix {litres} litres of {finish} paint in {base_color}.",
            "I need {base_color} paint, {litres} litres, {finish} finish.",
            "Prepare {litres} litres of {base_color} with a {finish} finish.",
        ),
        both=_heldout(
            "Mix {litres} litres of {finish} {base_color} paint and {litres/2} litres in {base_color/2}."
        ),
    ),
    Spec(
        "donate_to_charity",
        "Donate money to an organisation",
        {"organisation": Text("company"), "sum": Number(5, 500, 2.5), "anonymously?": Flag()},
        _heldout(
            "Donate {sum} to {organisation}.",
            "I want to give {organisation} a donation of {sum}.",
            "Give {sum} to {organisation} without my name. | anonymously=true",
        ),
        result={"receipt": Text("order")},
        say=_heldout("Thank you! Your gift of {sum} to {organisation} has the receipt {receipt}."),
    ),
    Spec(
        "list_open_roadworks",
        "List all roadworks that are open now",
        {},
        _heldout(
            "Which roadworks are open?", "List the roadworks.", "Where are they digging up the roads now?"
        ),
    ),
    Spec(
        "shipParcel",
        "Ship a parcel to somebody",
        {"receiver": Text("person"), "parcel": _PARCEL, "insured?": Flag()},
        _heldout(
            "Ship a parcel {parcel} to {receiver}.",
            "{receiver} must get a parcel {parcel}; insure it. | insured=true",
            "Post a parcel {parcel}, addressed to {receiver}.",
        ),
        result={"tracking_code": Text("order")},
        say=_heldout("The parcel for {receiver} has the tracking code {tracking_code}."),
    ),
    Spec(
        "restock_shelf",
        "Restock a shelf in the store",
        {"aisle": Integer(1, 40), "entries": Many(_ENTRY, 1, 2)},
        _heldout(
            "Restock aisle {aisle} with {entries}.",
            "Aisle {aisle} needs {entries}.",
            "Bring {entries} to aisle {aisle}.",
        ),
    ),
    Spec(
        "train_for_race",
        "Make a training plan for a race",
        {
            "race_km": Number(3, 42, 0.5),
            "weeks": Integer(3, 30),
            "runner_level?": Choice("novice regular pro"),
        },
        _heldout(
            "Make a plan of {weeks} weeks for a race over {race_km} km.",
            "I run {race_km} km in {weeks} weeks and I'm a {runner_level}. Make a training plan.",
            "Train me for {race_km} km within {weeks} weeks.",
        ),
    ),
    Spec(
        "name_star",
        "Name a star after somebody",
        {"honouree": Text("person"), "dedication?": Text("message")},
        _heldout(
            "Name a star after {honouree}.",
            'I want a star for {honouree} with the dedication "{dedication}".',
            'Let a star be called {honouree}. Dedication: "{dedication}".',
        ),
        both=_heldout("Name one star after {honouree} and another after {honouree/2}."),
    ),
    Spec(
        "inspectBridge",
        "Request the inspection of a bridge",
        {"bridgeCode": Text("order"), "inspector": Text("name"), "urgency": Choice("routine soon immediate")},
        _heldout(
            "Let {inspector} inspect bridge {bridgeCode}, urgency {urgency}.",
            "Bridge {bridgeCode} needs a look by {inspector} ({urgency}).",
            "Ask {inspector} for an inspection of {bridgeCode}. Urgency: {urgency}.",
        ),
    ),
    Spec(
        "grow_crop",
        "Plant a crop in a greenhouse",
        {"crop": Text("plant"), "rows": Integer(2, 40), "humidity?": Integer(30, 90)},
        _heldout(
            "Plant {rows} rows of {crop}.",
            "In the greenhouse I want {rows} rows of {crop} at {humidity} percent humidity.",
            "Grow {crop}: {rows} rows, humidity {humidity}.",
        ),
        both=_heldout("Plant {rows} rows of {crop} and {rows/2} rows of {crop/2}."),
        result={"harvest": Text("date")},
        say=_heldout("The {crop} can be harvested on {harvest}."),
    ),
)
