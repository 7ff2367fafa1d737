"""OpenAI's own client for Python, in the version before the one that firsthop itself uses."""

import json
import sys

import openai
import pydantic

base_url, scenario = sys.argv[1:3]
question = [{"role": "user", "content": sys.argv[3]}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Person(pydantic.BaseModel):
    name: str
    age: int


def main(client: openai.OpenAI) -> dict:
    chat = client.chat.completions
    if scenario == "plain":
        answer = chat.create(model="auto", messages=question)
        return {"text": answer.choices[0].message.content}
    if scenario == "stream":
        stream = chat.create(model="auto", messages=question, stream=True)
        return {"pieces": [c.choices[0].delta.content or "" for c in stream if c.choices]}
    if scenario == "tools":
        answer = chat.create(model="auto", messages=question, tools=[TOOL])
        call = answer.choices[0].message.tool_calls[0].function
        return {"tool": call.name, "arguments": json.loads(call.arguments)}
    if scenario == "schema":
        answer = chat.parse(model="auto", messages=question, response_format=Person)
        return {"parsed": answer.choices[0].message.parsed.model_dump()}
    if scenario == "error":
        try:
            chat.create(model="gpt-nothing", messages=question)
        except openai.NotFoundError as error:
            return {"status": error.status_code, "code": error.code}
    if scenario == "choices":
        answer = chat.create(model="auto", messages=question, n=2)
        texts: dict = {0: "", 1: ""}
        for chunk in chat.create(model="auto", messages=question, n=2, stream=True):
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
        return {
            "whole": [[choice.index, choice.message.content] for choice in answer.choices],
            "streamed": [*texts.items()],
            "tokens": answer.usage.completion_tokens,
        }
    if scenario == "cancel":
        stream = chat.create(model="auto", messages=question, stream=True)
        pieces = [next(iter(stream)).choices[0].delta.content or "" for _ in range(4)]
        stream.close()
        return {"pieces": pieces}
    return {}


print(json.dumps(main(openai.OpenAI(base_url=base_url, api_key="none", max_retries=0))))
