"""Trained tools: files, charts and code."""

from data.generate.kinds import Choice, Flag, Integer, Many, Record, Text
from data.generate.spec import Spec, words

TOOLS = (
    Spec(
        "resizeImage",
        "Resize an image",
        {"file": Text("image"), "width": Integer(100, 1900, 10), "height": Integer(100, 1900, 10)},
        words(
            [
                "Resize {file} to {width} by {height}.",
                "Make {file} {width}x{height} pixels.",
                "Scale {file}: width {width}, height {height}.",
                "I need {file} at {width} by {height} pixels.",
            ],
            [
                "Change the size of {file} to {width} wide and {height} high.",
                "{file} must measure {width} by {height}.",
            ],
        ),
    ),
    Spec(
        "plot_chart",
        "Plot a chart",
        {
            "chart_type": Choice("bar line pie"),
            "labels": Many(Text("option"), 2, 3),
            "values": Many(Integer(2, 99), 2, 3),
        },
        words(
            [
                "Draw a {chart_type} chart with the labels {labels} and the values {values}.",
                "Plot {values} as a {chart_type} chart labelled {labels}.",
                "Make a {chart_type} chart: labels {labels}, values {values}.",
            ],
            [
                "A {chart_type} chart of {values}, please; call them {labels}.",
                "Visualise {values} in a {chart_type} chart under the names {labels}.",
            ],
        ),
    ),
    Spec(
        "open_pull_request",
        "Open a pull request",
        {
            "branch": Text("branch"),
            "title": Text("problem"),
            "reviewers?": Many(Text("username")),
            "draft?": Flag(),
        },
        words(
            [
                'Open a pull request from {branch} titled "{title}".',
                'Create a draft pull request for {branch}: "{title}". | draft=true',
                'Pull request from {branch}, title "{title}", reviewers {reviewers}.',
                'Ask {reviewers} to review {branch} in a pull request called "{title}".',
            ],
            [
                'Propose {branch} for merging under the title "{title}".',
                '{branch} is ready for review by {reviewers}; name the request "{title}".',
            ],
        ),
    ),
    Spec(
        "backup_folder",
        "Back up a folder",
        {
            "folder": Text("folder"),
            "schedule?": Record(
                {"every": Choice("day week month"), "at": Text("time")},
                "every {every} at {at}",
                "once a {every}, {at}",
            ),
            "compress?": Flag(),
        },
        words(
            [
                "Back up {folder}.",
                "Back up {folder} {schedule}.",
                "Make a compressed backup of {folder}. | compress=true",
                "Schedule a backup of {folder} {schedule}, uncompressed. | compress=false",
            ],
            ["Keep a copy of {folder} safe.", "A copy of {folder} should be made {schedule}."],
        ),
        result={"size_mb": Integer(5, 900)},
        say=words(["{folder} is backed up ({size_mb} MB)."], ["The copy of {folder} takes {size_mb} MB."]),
    ),
)
