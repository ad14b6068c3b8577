"""Trained tools: accounts, bills and sums."""

from data.generate.kinds import Choice, Integer, Number, Text
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
            ],
            ["At what price does {symbol} trade?", "Quote {symbol} for me."],
        ),
        both=words(
            ["What are the stock prices of {symbol} and {symbol/2}?"], ["Quote {symbol} next to {symbol/2}."]
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
            ],
            [
                "{recipient} should get {amount} {currency} from me.",
                "Move {amount} from my account to {recipient}.",
            ],
        ),
        pt=words(
            ["Transfere {amount} {currency} para {recipient}."], ["Envia {amount} {currency} a {recipient}."]
        ),
        result={"reference": Text("order")},
        say=words(
            ["{amount} was sent to {recipient}, reference {reference}."],
            ["{recipient} received {amount} under reference {reference}."],
        ),
    ),
    Spec(
        "pay_bill",
        "Pay a bill to a company",
        {"company": Text("company"), "amount": Number(10, 500, 1.25), "date?": Text("date")},
        words(
            [
                "Pay {amount} to {company}.",
                "Pay my {company} bill of {amount} on {date}.",
                "I owe {company} {amount}. Pay the bill.",
                "On {date}, pay {company} {amount}.",
            ],
            ["Settle the {company} bill, {amount}.", "The {amount} for {company} should be paid on {date}."],
        ),
        result={},
        say=words(["The {company} bill of {amount} is paid."], ["{company} has received {amount}."]),
    ),
    Spec(
        "calculateTip",
        "Calculate the tip for a bill",
        {"billAmount": Number(10, 300, 1.25), "percent": Integer(5, 30), "people?": Integer(2, 10)},
        words(
            [
                "What's a {percent} percent tip on {billAmount}?",
                "Calculate a {percent}% tip for a bill of {billAmount}.",
                "The bill is {billAmount}. Tip {percent} percent, split between {people} people.",
                "Tip on {billAmount} at {percent}%, shared by {people}?",
            ],
            [
                "We paid {billAmount}; how much is {percent} percent for the waiter?",
                "For {people} people and a bill of {billAmount}, work out a {percent}% tip.",
            ],
        ),
        result={"tip": Number(1, 60, 0.75)},
        say=words(
            ["A {percent} percent tip on {billAmount} is {tip}."], ["You should leave {tip} as a tip."]
        ),
    ),
    Spec(
        "calculate_loan_payment",
        "Calculate the monthly payment of a loan",
        {
            "principal": Integer(1000, 300000, 500),
            "annual_rate": Number(1, 12, 0.25),
            "years": Integer(2, 30),
        },
        words(
            [
                "What does a loan of {principal} at {annual_rate} percent over {years} years cost a month?",
                "Calculate a loan: {principal}, {annual_rate}%, {years} years.",
                "I borrow {principal} for {years} years at {annual_rate}% interest. What do I pay a month?",
                "Loan payment for {principal} at {annual_rate}% in {years} years?",
            ],
            [
                "If I borrow {principal} over {years} years with {annual_rate}%, what would I pay monthly?",
                "Mortgage of {principal}, rate {annual_rate}, term {years} years: monthly cost?",
            ],
        ),
        result={"monthly_payment": Number(50, 2000, 2.25)},
        say=words(
            ["You would pay {monthly_payment} a month for {years} years."],
            ["Each month costs {monthly_payment}."],
        ),
    ),
    Spec(
        "set_budget",
        "Set a monthly budget for a category",
        {"category": Choice("food rent travel clothes leisure"), "limit": Integer(50, 2000, 25)},
        words(
            [
                "Set my {category} budget to {limit}.",
                "I want to spend at most {limit} a month on {category}.",
                "Limit {category} to {limit}.",
                "Monthly budget for {category}: {limit}.",
            ],
            ["No more than {limit} should go to {category} each month.", "Cap {category} at {limit}."],
        ),
        both=words(
            ["Set my {category} budget to {limit} and my {category/2} budget to {limit/2}."],
            ["Cap {category} at {limit} and {category/2} at {limit/2}."],
        ),
        result={},
        say=words(
            ["Your {category} budget is now {limit}."], ["{category} may cost {limit} a month from now on."]
        ),
    ),
    Spec(
        "get_account_balance",
        "Get the balance of the bank account",
        {"account": Choice("checking savings business")},
        words(
            [
                "How much money is in my {account} account?",
                "Show my {account} balance.",
                "What's the balance of the {account} account?",
                "Check my {account} account.",
            ],
            ["What do I have left in {account}?", "Tell me the amount on my {account} account."],
        ),
        result={"balance": Number(100, 9000, 12.5)},
        say=words(
            ["Your {account} account holds {balance} euros."], ["There are {balance} euros in {account}."]
        ),
    ),
)
