"""Trained tools: products and orders."""

from data.generate.kinds import Choice, Number, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "search_products",
        "Search for products in the shop",
        {
            "query": Text("product"),
            "max_price?": Number(10, 400, 2.5),
            "sort_by?": Choice("price rating newest"),
        },
        words(
            [
                "Search for {query}.",
                "Show me {query} under {max_price} dollars.",
                "I'm looking for {query}, sorted by {sort_by}.",
                "Find {query} for at most {max_price}, sort by {sort_by}.",
                "Do you sell any {query}?",
                "Do you sell a {query}?",
                "I'm looking for a {query} for less than {max_price}.",
                "Which {query} do you have?",
                "{query}, at most {max_price}.",
                "I want to buy a {query}. What is there?",
                "List every {query}, sorted by {sort_by}.",
            ],
            ["I'd like to see {query}, up to {max_price}.", "Browse {query}, ordered by {sort_by}."],
        ),
        result={"top_result": Text("product"), "price": Number(9, 200, 2.5)},
        say=words(
            ["The best match is {top_result} for {price} dollars."],
            ["I found {top_result} at {price} dollars."],
        ),
    ),
    Spec(
        "track_order",
        "Track the delivery of an order",
        {"order_id": Text("order")},
        words(
            [
                "Where is my order {order_id}?",
                "Track order {order_id}.",
                "Has {order_id} been shipped?",
                "When will order {order_id} arrive?",
                "Check the delivery of {order_id}.",
                "When will {order_id} arrive?",
                "My order is {order_id}. How far is it?",
                "Any news about order {order_id}?",
                "What happened to {order_id}?",
                "I ordered something, number {order_id}. When does it come?",
            ],
            ["I am still waiting for {order_id}. Where is it?", "Delivery state of {order_id}, please."],
        ),
        both=words(
            [
                "Track my orders {order_id} and {order_id/2}.",
                "Where are my orders {order_id} and {order_id/2}?",
                "Status of {order_id} and {order_id/2}?",
            ],
            ["Where are {order_id} and {order_id/2} at the moment?"],
        ),
        pt=words(
            [
                "Onde está a minha encomenda {order_id}?",
                "A encomenda {order_id} já foi enviada?",
                "Estado da encomenda {order_id}?",
            ],
            ["Quando chega a encomenda {order_id}?"],
        ),
        result={"status": Choice("shipped packed delayed delivered"), "expected": Text("date")},
        say=words(
            [
                "Order {order_id} is {status} and expected on {expected}.",
                "Your order is {status}; it should arrive on {expected}.",
            ],
            ["{order_id} has the state {status}, with arrival on {expected}."],
        ),
    ),
)
