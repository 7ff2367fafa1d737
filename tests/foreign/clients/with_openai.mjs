// OpenAI's own client for Node.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [baseURL, scenario, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const chat = client.chat.completions;
const messages = [{ role: "user", content: question }];
const tool = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

async function main() {
  if (scenario === "plain") {
    return { text: (await chat.create({ model: "auto", messages })).choices[0].message.content };
  }
  if (scenario === "stream") {
    const pieces = [];
    for await (const chunk of await chat.create({ model: "auto", messages, stream: true })) {
      pieces.push(chunk.choices[0]?.delta.content ?? "");
    }
    return { pieces };
  }
  if (scenario === "tools") {
    const answer = await chat.create({ model: "auto", messages, tools: [tool] });
    const call = answer.choices[0].message.tool_calls[0].function;
    return { tool: call.name, arguments: JSON.parse(call.arguments) };
  }
  if (scenario === "schema") {
    const person = z.object({ name: z.string(), age: z.number().int() });
    const format = zodResponseFormat(person, "person");
    const answer = await chat.parse({ model: "auto", messages, response_format: format });
    return { parsed: answer.choices[0].message.parsed };
  }
  if (scenario === "error") {
    try {
      await chat.create({ model: "gpt-nothing", messages });
    } catch (error) {
      if (error instanceof OpenAI.NotFoundError) return { status: error.status, code: error.code };
      throw error;
    }
  }
  if (scenario === "cancel") {
    const pieces = [];
    for await (const chunk of await chat.create({ model: "auto", messages, stream: true })) {
      pieces.push(chunk.choices[0]?.delta.content ?? "");
      if (pieces.length === 4) break;
    }
    return { pieces };
  }
  return {};
}

console.log(JSON.stringify(await main()));
