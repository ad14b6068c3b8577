"""Trained tools: food, plants, pets and health."""

from data.generate.kinds import Choice, Integer, Many, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "add_to_shopping_list",
        "Add items to the shopping list",
        {"items": Many(Text("grocery"), 1, 4)},
        words(
            [
                "Add {items} to my shopping list.",
                "Put {items} on the list for the supermarket.",
                "We need {items}.",
                "I have to buy {items}. Add that to the list.",
                "We're out of {items}.",
                "Shopping: {items}.",
                "I have to buy {items}. Note that.",
                "Write {items} down for the shop.",
                "Next time at the shop I need {items}.",
                "Please add {items}.",
            ],
            ["We have run out of {items}.", "The shopping list should include {items}."],
        ),
        result={"total_items": Integer(3, 20)},
        say=words(
            ["I added {items}. The list has {total_items} items now."],
            ["{items} went on the list, which counts {total_items} items."],
        ),
    ),
    Spec(
        "find_recipe",
        "Find a recipe by its ingredients",
        {
            "ingredients": Many(Text("grocery")),
            "max_minutes?": Integer(10, 90, 5),
            "diet?": Choice("vegan vegetarian keto"),
        },
        words(
            [
                "What can I cook with {ingredients}?",
                "Find a {diet} recipe with {ingredients}.",
                "I have {ingredients} and {max_minutes} minutes. Any recipe?",
                "Give me a {diet} recipe using {ingredients} in at most {max_minutes} minutes.",
                "I have {ingredients} in the fridge. What can I make?",
                "Give me an idea for dinner with {ingredients}.",
                "A {diet} dish with {ingredients}?",
                "Something with {ingredients} that takes {max_minutes} minutes at most.",
                "How do I use up {ingredients}?",
                "Cook with {ingredients}: what do you suggest?",
            ],
            [
                "Which meals use {ingredients}?",
                "Dinner idea from {ingredients}, {diet}, ready in {max_minutes} minutes?",
            ],
        ),
        result={"recipe": Text("dish"), "minutes": Integer(10, 80)},
        say=words(
            [
                "You could make {recipe}; it takes {minutes} minutes.",
                "How about {recipe}? It is ready in {minutes} minutes.",
            ],
            ["{recipe} would work, in {minutes} minutes."],
        ),
    ),
)
