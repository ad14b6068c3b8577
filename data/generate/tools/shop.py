"""Trained tools: products and orders."""

from data.generate.kinds import Choice, Flag, Integer, Many, Number, Record, Text
from data.generate.spec import Spec, words

_ADDRESS = Record({"street": Text("street"), "city": Text("city")}, "{street}, {city}", "{street} in {city}")
_ITEM = Record(
    {"product": Text("product"), "quantity": Integer(1, 12)},
    "{quantity} x {product}",
    "{product} ({quantity} pieces)",
)

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
            ],
            ["I am still waiting for {order_id}. Where is it?", "Delivery state of {order_id}, please."],
        ),
        both=words(
            ["Track my orders {order_id} and {order_id/2}."],
            ["Where are {order_id} and {order_id/2} at the moment?"],
        ),
        pt=words(["Onde está a minha encomenda {order_id}?"], ["Quando chega a encomenda {order_id}?"]),
        result={"status": Choice("shipped packed delayed delivered"), "expected": Text("date")},
        say=words(
            [
                "Order {order_id} is {status} and expected on {expected}.",
                "Your order is {status}; it should arrive on {expected}.",
            ],
            ["{order_id} has the state {status}, with arrival on {expected}."],
        ),
    ),
    Spec(
        "cancel_order",
        "Cancel an order",
        {"order_id": Text("order"), "reason?": Choice("late mistake price other")},
        words(
            [
                "Cancel order {order_id}.",
                "Please cancel {order_id}, the reason is {reason}.",
                "I don't want {order_id} any more. Cancel it.",
                "Cancel my order {order_id} (reason: {reason}).",
            ],
            ["Call off order {order_id}.", "Take back my order {order_id}; give {reason} as the reason."],
        ),
        result={"refund": Number(5, 200, 2.5)},
        say=words(
            ["Order {order_id} is cancelled, and {refund} euros will be refunded."],
            ["You get {refund} euros back for {order_id}."],
        ),
    ),
    Spec(
        "addToCart",
        "Add a product to the cart",
        {"product": Text("product"), "quantity": Integer(1, 20)},
        words(
            [
                "Add {quantity} {product} to my cart.",
                "Put {quantity} of the {product} in the cart.",
                "I'll take {quantity} {product}.",
                "Cart: {product}, quantity {quantity}.",
            ],
            ["My cart needs {quantity} {product}.", "I want to buy {quantity} pieces of {product}."],
        ),
        both=words(
            ["Add {quantity} {product} and {quantity/2} {product/2} to my cart."],
            ["In the cart I want {quantity} {product} plus {quantity/2} {product/2}."],
        ),
        result={"cart_total": Number(10, 500, 2.5)},
        say=words(
            ["I added {quantity} {product}. Your cart is at {cart_total} euros."],
            ["With {product} in it, the cart costs {cart_total} euros."],
        ),
    ),
    Spec(
        "apply_coupon",
        "Apply a coupon code to the cart",
        {"code": Text("coupon")},
        words(
            [
                "Apply the coupon {code}.",
                "I have a discount code: {code}.",
                "Use {code} on my cart.",
                "Redeem coupon {code}, please.",
            ],
            ["Does {code} give me a discount? Use it.", "Take {code} off my total."],
        ),
    ),
    Spec(
        "place_order",
        "Place an order for products",
        {"items": Many(_ITEM, 1, 2), "address": _ADDRESS, "express?": Flag()},
        words(
            [
                "Order {items} to {address}.",
                "Please order {items} with express delivery to {address}. | express=true",
                "Deliver {items} to {address}.",
                "Send {items} to {address}, normal delivery is fine. | express=false",
            ],
            [
                "I'd like {items} brought to {address}.",
                "Ship me {items}, express, to {address}. | express=true",
            ],
        ),
        result={"order_id": Text("order")},
        say=words(
            ["Your order {order_id} will be delivered to {address}."],
            ["I placed order {order_id} for {address}."],
        ),
    ),
    Spec(
        "return_item",
        "Return an item from an order",
        {"order_id": Text("order"), "item": Text("product"), "refund_method": Choice("card voucher cash")},
        words(
            [
                "Return the {item} from order {order_id}, refund by {refund_method}.",
                "I want to send back the {item} of {order_id} and get a {refund_method} refund.",
                "The {item} in {order_id} is broken. Return it, {refund_method} refund please.",
                "Start a return: order {order_id}, {item}, refund as {refund_method}.",
            ],
            [
                "Take back the {item} that came with {order_id}; repay me by {refund_method}.",
                "From {order_id} I don't like the {item}. Give me {refund_method} for it.",
            ],
        ),
    ),
    Spec(
        "rate_product",
        "Rate a product",
        {"product": Text("product"), "stars": Integer(1, 5), "comment?": Text("message")},
        words(
            [
                "Give the {product} {stars} stars.",
                "Rate the {product} with {stars} stars.",
                'I rate the {product} {stars} stars: "{comment}".',
                'Review for the {product}: {stars} stars, "{comment}".',
            ],
            ["The {product} deserves {stars} stars.", "My rating of the {product} is {stars} stars."],
        ),
    ),
)
