"""Trained tools: accounts, bills and sums."""

from data.generate.kinds import Number, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "get_stock_price",
        "Get the latest price of a stock",
        {"symbol": Text("ticker")},
        words(
            [
                "What's the stock price of {symbol}?",
                "How is {symbol} doing today?",
                "Get me the price of {symbol} shares.",
                "{symbol} stock price?",
                "How much is one share of {symbol}?",
                "What is {symbol} worth at the moment?",
                "{symbol}: current price?",
                "Look up {symbol} on the stock market.",
                "Has {symbol} gone up?",
                "I own {symbol}. What's the price now?",
            ],
            ["At what price does {symbol} trade?", "Quote {symbol} for me."],
        ),
        both=words(
            [
                "What are the stock prices of {symbol} and {symbol/2}?",
                "Compare {symbol} with {symbol/2}.",
                "Prices of {symbol} and {symbol/2}, please.",
            ],
            ["Quote {symbol} next to {symbol/2}."],
        ),
        result={"price": Number(20, 400, 1.25), "change_percent": Number(0.5, 5, 0.25)},
        say=words(
            ["{symbol} trades at {price} dollars, up {change_percent} percent."],
            ["A share of {symbol} costs {price} dollars, a rise of {change_percent} percent."],
        ),
    ),
    Spec(
        "transfer_money",
        "Transfer money to a person",
        {
            "recipient": Text("person"),
            "amount": Number(5, 900, 2.5),
            "currency?": Text("currency"),
            "note?": Text("subject"),
        },
        words(
            [
                "Send {amount} to {recipient}.",
                "Transfer {amount} {currency} to {recipient}.",
                'Pay {recipient} {amount} {currency} with the note "{note}".',
                'Wire {amount} to {recipient}, note "{note}".',
                "{recipient} gets {amount} from me.",
                "I owe {recipient} {amount}. Send it.",
                "Please transfer {amount} to {recipient}.",
                "Give {recipient} {amount} {currency}.",
                "Make a transfer: {amount} {currency}, recipient {recipient}.",
                "{amount} to {recipient}, please.",
            ],
            [
                "{recipient} should get {amount} {currency} from me.",
                "Move {amount} from my account to {recipient}.",
            ],
        ),
        pt=words(
            [
                "Transfere {amount} {currency} para {recipient}.",
                "Faz uma transferência de {amount} {currency} para {recipient}.",
                "Paga {amount} a {recipient}.",
            ],
            ["Envia {amount} {currency} a {recipient}."],
        ),
        result={"reference": Text("order")},
        say=words(
            ["{amount} was sent to {recipient}, reference {reference}."],
            ["{recipient} received {amount} under reference {reference}."],
        ),
    ),
)
