"""HTML pages that need nothing but themselves."""

import jinja2


def environment(package: str) -> jinja2.Environment:
    """Templates beside the code of `package`; everything that data says is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
