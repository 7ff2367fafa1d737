"""LlamaIndex's `OpenAILike`."""

import json
import sys

import openai
import pydantic
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike

base_url, scenario = sys.argv[1:3]
question = [ChatMessage(role="user", content=sys.argv[3])]


class Person(pydantic.BaseModel):
    name: str
    age: int


def weather(city: str) -> str:
    """The weather in a city."""
    return "rain"


def chat(model: str = "auto", **more: bool) -> OpenAILike:
    return OpenAILike(
        model=model,
        api_base=base_url,
        api_key="none",
        is_chat_model=True,
        max_retries=0,
        context_window=4096,
        **more,
    )


def main() -> dict:
    if scenario == "plain":
        return {"text": chat().chat(question).message.content}
    if scenario == "stream":
        return {"pieces": [piece.delta or "" for piece in chat().stream_chat(question)]}
    if scenario == "tools":
        llm = chat(is_function_calling_model=True)
        answer = llm.chat_with_tools([FunctionTool.from_defaults(weather)], chat_history=question)
        call = llm.get_tool_calls_from_response(answer)[0]
        return {"tool": call.tool_name, "arguments": call.tool_kwargs}
    if scenario == "schema":
        llm = chat(should_use_structured_outputs=True)
        found = llm.as_structured_llm(Person).chat(question).raw
        return {"parsed": found.model_dump()}
    if scenario == "error":
        try:
            chat("gpt-nothing").chat(question)
        except openai.NotFoundError as error:
            return {"status": error.status_code, "code": error.code}
    if scenario == "cancel":
        stream = chat().stream_chat(question)
        pieces = [next(stream).delta or "" for _ in range(4)]
        stream.close()
        return {"pieces": pieces}
    return {}


print(json.dumps(main()))
