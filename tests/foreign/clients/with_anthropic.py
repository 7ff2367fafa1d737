"""Anthropic's own client for Python."""

import json
import sys

import anthropic

base_url, scenario = sys.argv[1].removesuffix("/v1"), sys.argv[2]
asked = {
    "model": "auto",
    "max_tokens": 200,
    "messages": [{"role": "user", "content": sys.argv[3]}],
}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def main(client: anthropic.Anthropic) -> dict:
    if scenario == "plain":
        return {"text": client.messages.create(**asked).content[0].text}
    if scenario == "stream":
        with client.messages.stream(**asked) as stream:
            return {"pieces": list(stream.text_stream)}
    if scenario == "tools":
        tool = {"name": "weather", "description": "The weather.", "input_schema": WEATHER}
        call = next(
            block
            for block in client.messages.create(**asked, tools=[tool]).content
            if block.type == "tool_use"
        )
        return {"tool": call.name, "arguments": call.input}
    if scenario == "schema":
        form = {"format": {"type": "json_schema", "schema": PERSON}}
        answer = client.messages.create(**asked, output_config=form)
        return {"parsed": json.loads(answer.content[0].text)}
    if scenario == "error":
        try:
            client.messages.create(**{**asked, "model": "claude-nothing"})
        except anthropic.NotFoundError as error:
            return {"status": error.status_code, "code": error.body["error"]["type"]}
    if scenario == "cancel":
        with client.messages.stream(**asked) as stream:
            texts = stream.text_stream
            return {"pieces": [next(texts) for _ in range(4)]}
    return {}


print(json.dumps(main(anthropic.Anthropic(base_url=base_url, api_key="none", max_retries=0))))
