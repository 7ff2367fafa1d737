"""LangChain's `ChatOpenAI`."""

import json
import sys

import openai
import pydantic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

base_url, scenario = sys.argv[1:3]
question = sys.argv[3]


class Person(pydantic.BaseModel):
    name: str
    age: int


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return "rain"


def chat(model: str = "auto") -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=base_url, api_key="none", max_retries=0)


def main() -> dict:
    if scenario == "plain":
        return {"text": chat().invoke(question).content}
    if scenario == "stream":
        return {"pieces": [piece.content for piece in chat().stream(question)]}
    if scenario == "tools":
        call = chat().bind_tools([weather]).invoke(question).tool_calls[0]
        return {"tool": call["name"], "arguments": call["args"]}
    if scenario == "schema":
        found = chat().with_structured_output(Person, method="json_schema").invoke(question)
        return {"parsed": found.model_dump()}
    if scenario == "error":
        try:
            chat("gpt-nothing").invoke(question)
        except openai.NotFoundError as error:
            return {"status": error.status_code, "code": error.code}
    if scenario == "cancel":
        stream = chat().stream(question)
        pieces = [next(stream).content for _ in range(4)]
        stream.close()
        return {"pieces": pieces}
    return {}


print(json.dumps(main()))
