"""Trained tools: food, plants, pets and health."""

from data.generate.kinds import Choice, Integer, Many, Number, Text
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
        "water_plants",
        "Water plants in the garden",
        {"plant": Text("plant"), "millilitres": Integer(100, 900, 25)},
        words(
            [
                "Give the {plant} {millilitres} millilitres of water.",
                "Water the {plant} with {millilitres} ml.",
                "The {plant} need {millilitres} ml of water.",
                "Pour {millilitres} millilitres on the {plant}.",
            ],
            [
                "Let the {plant} have {millilitres} ml of water.",
                "{millilitres} ml of water for the {plant}, please.",
            ],
        ),
    ),
    Spec(
        "feedPet",
        "Feed a pet from the feeder",
        {"petName": Text("pet"), "grams": Integer(20, 200, 5)},
        words(
            [
                "Feed {petName} {grams} grams.",
                "Give {petName} {grams} grams of food.",
                "{petName} is hungry. Serve {grams} grams.",
                "Time to feed {petName}: {grams} g.",
            ],
            ["{petName} should get {grams} grams now.", "Fill the bowl of {petName} with {grams} grams."],
        ),
        both=words(
            ["Feed {petName} {grams} grams and {petName/2} {grams/2} grams."],
            ["{petName} gets {grams} grams, {petName/2} gets {grams/2} grams."],
        ),
        result={},
        say=words(["{petName} got {grams} grams of food."], ["I served {grams} grams to {petName}."]),
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
    Spec(
        "log_meal",
        "Log a meal in the food diary",
        {
            "dish": Text("dish"),
            "calories": Integer(100, 900, 10),
            "meal?": Choice("breakfast lunch dinner snack"),
        },
        words(
            [
                "Log {dish} with {calories} calories.",
                "I had {dish} for {meal}, {calories} calories.",
                "Add {dish} ({calories} calories) to my food diary.",
                "For {meal} I ate {dish}. That was {calories} calories.",
            ],
            [
                "My {meal} was {dish} at {calories} calories; write it down.",
                "Record that I ate {dish}, worth {calories} calories.",
            ],
        ),
    ),
    Spec(
        "log_workout",
        "Log a workout",
        {
            "exercise": Text("exercise"),
            "minutes": Integer(10, 120),
            "intensity?": Choice("easy moderate hard"),
        },
        words(
            [
                "Log {minutes} minutes of {exercise}.",
                "I did {minutes} minutes of {exercise}, it was {intensity}.",
                "Add a {intensity} workout: {exercise}, {minutes} minutes.",
                "Record my {exercise} session of {minutes} minutes.",
            ],
            [
                "Today's training was {exercise} for {minutes} minutes.",
                "{minutes} minutes of {intensity} {exercise} should go into my log.",
            ],
        ),
        result={"calories": Integer(50, 900, 5)},
        say=words(
            ["Logged: {minutes} minutes of {exercise}, about {calories} calories."],
            ["{exercise} for {minutes} minutes burned {calories} calories."],
        ),
    ),
    Spec(
        "order_medicine",
        "Order medicine from the pharmacy",
        {"medicine": Text("medicine"), "boxes": Integer(1, 10)},
        words(
            [
                "Order {boxes} boxes of {medicine}.",
                "I need {boxes} boxes of {medicine} from the pharmacy.",
                "Get {medicine}, {boxes} boxes.",
                "Please order {medicine}: {boxes} boxes.",
            ],
            [
                "My {medicine} is almost gone; have {boxes} boxes sent.",
                "The pharmacy should prepare {boxes} boxes of {medicine}.",
            ],
        ),
    ),
    Spec(
        "calculate_bmi",
        "Calculate the body mass index",
        {"weight_kg": Number(45, 120, 0.5), "height_cm": Integer(145, 205)},
        words(
            [
                "I weigh {weight_kg} kg and I'm {height_cm} cm tall. What's my BMI?",
                "Calculate the BMI for {weight_kg} kg and {height_cm} cm.",
                "BMI of someone with {height_cm} cm and {weight_kg} kg?",
                "What is my BMI at {weight_kg} kg, {height_cm} cm?",
            ],
            [
                "With {height_cm} cm and {weight_kg} kg, am I too heavy? Give the BMI.",
                "Work out a body mass index: weight {weight_kg}, height {height_cm}.",
            ],
        ),
        result={"bmi": Number(18, 32, 0.5)},
        say=words(["Your BMI is {bmi}."], ["That gives a body mass index of {bmi}."]),
    ),
)
