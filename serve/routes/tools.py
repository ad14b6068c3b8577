"""The tools of a chat request: calls are held to their schemas while generated, so they must be some."""

from typing import Any

from data.schemas import schema_problem
from serve.errors import ApiError


def check_tools(tools: Any) -> None:
    """Refuse a tool whose `parameters` are no JSON schema, as OpenAI does; all else is the engine's to check.

    Raises:
        ApiError: names the tool and what is wrong with its schema.
    """
    for number, tool in enumerate(tools if isinstance(tools, list) else ()):
        function = tool.get("function") if isinstance(tool, dict) else None
        parameters = function.get("parameters") if isinstance(function, dict) else None
        if isinstance(parameters, dict) and (problem := schema_problem(parameters)):
            name = str(tool["function"].get("name"))[:100]
            raise ApiError(
                f"The parameters of tool {name!r} {problem}; correct the schema.",
                code="invalid_tool_schema",
                param=f"tools[{number}].function.parameters",
            )
