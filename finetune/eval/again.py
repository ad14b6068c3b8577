"""A report as a suite: the same questions to the same weights, from `report.json` alone."""

from pathlib import Path

from pydantic import ValidationError

from data.errors import UserError
from data.mistakes import first_error
from data.report import read_report
from finetune.eval import questions
from finetune.eval.suite import Suite


def suite_of(path: Path) -> tuple[Suite, list[str]]:
    """The suite of a report, and its models with adapters pinned to their digests.

    UserError where a data file of the suite is gone or has changed.
    """
    report = read_report(path)
    try:
        suite = Suite.model_validate(report.suite.config)
        here = questions.entry(suite)
    except ValidationError as error:
        raise UserError(
            f"the suite in {path} is of another version ({first_error(error)}); evaluate its YAML file."
        ) from None
    except OSError as error:
        raise UserError(
            f"{path} was made from {error.filename}, which cannot be read ({error.strerror}); run it where "
            "the data is."
        ) from None
    if changed := [name for name, known in report.suite.files.items() if here.files.get(name) != known]:
        raise UserError(
            f"{', '.join(changed)} has changed since {path} was made; restore it, or evaluate the suite's "
            "YAML file."
        )
    pinned = [served.model if served.adapter else served.name for served in report.models]
    return suite, pinned
