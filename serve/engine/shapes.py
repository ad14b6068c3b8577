"""The JSON schema of an answer, before vLLM chooses what holds the answer to it."""

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.sampling_params import SamplingParams
from vllm.v1.structured_output.backend_xgrammar import validate_xgrammar_grammar


def check_shape(request: ChatCompletionRequest) -> None:
    """Refuse a schema that xgrammar cannot hold an answer to, as calls of tools are held to theirs.

    vLLM would go on to other libraries, of which one allocates what `{"type": "array", "minItems": N}` asks
    for, in this very process.

    Raises:
        VLLMValidationError: says what xgrammar cannot.
    """
    if request.response_format is not None:
        validate_xgrammar_grammar(SamplingParams(structured_outputs=request.extract_structured_outputs()))
